"""Assignments to parts of a value: all pieces, in their places, are joined along one dimension after another.

A value that begins with one number everywhere, as that of `torch.zeros`, is not needed where it is covered; what
is left of it is a padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct

from specbuild.importing.broadcasting import concat_values, stack_values
from specbuild.importing.layouts import require_axis, widen_dim
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.indexing import slice_dim
from specbuild.importing.pytorch.handlers.neighbourhood import lower_pad
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import ValueRef

Place: TypeAlias = "dict[int, range]"  # by dimension, where it is not all of it
NOBODY = -1  # owns what was not assigned


@lowers("write_parts")
def lower_assignments(low: Lowerer, input: Any, parts: Any, indices: Any) -> NamedValue:
    shape = low.trace.values[input.number].shape
    places = [spell_index(index, shape) for index in indices]
    pieces = []
    for part, (place, positions) in zip(parts, places, strict=True):
        value = low.value(part)
        dims = list(value.dims)
        for dim in positions:
            dims.insert(dim, ())
        pieces.append(Piece(value.with_dims(dims), place))
    return Assembly(low, input, pieces).build()


def spell_index(index: Any, shape: Sequence[int]) -> tuple[Place, list[int]]:
    """Return which positions of each dimension an index means, and the dimensions that it removes."""
    items = index if isinstance(index, list) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items = [*items[:at], *[slice(None)] * (len(shape) - len(items) + 1), *items[at + 1 :]]
    place, positions = {}, []
    for dim, (item, size) in enumerate(zip(items, shape, strict=False)):
        if isinstance(item, int) and not isinstance(item, bool):
            place[dim] = range(size)[item : item + 1 or None]
            positions.append(dim)
        elif isinstance(item, slice):
            place[dim] = range(size)[item]
        else:
            raise Unsupported("assignment to an index of this kind", "use torch.cat or torch.where", "SB965")
    return place, positions


def find_number(table: Any) -> float | None:
    """Return the number that a table has everywhere, if there is one."""
    if (
        table is None
        or not table.size
        or not np.array_equal(table, np.full_like(table, table.flat[0]), equal_nan=True)
    ):
        return None
    number: float = table.flat[0].item()
    return number


def find_runs(owners: Any) -> list[tuple[int, int]]:
    """Return the beginning and end of each run of positions of the first dimension that have the same owners."""
    starts = [0, *(i for i in range(1, len(owners)) if (owners[i] != owners[i - 1]).any())]
    return list(zip(starts, [*starts[1:], len(owners)], strict=True))


class Piece(Struct, frozen=True):
    """A value that is assigned to a part. It has the dimensions of the whole value."""

    value: NamedValue
    place: Place


class Assembly:
    """A whole value from its pieces, of which the last at a position stays."""

    def __init__(self, low: Lowerer, base: ValueRef, pieces: Sequence[Piece]):
        self.low, self.base, self.pieces = low, base, pieces
        self.shape = low.trace.values[base.number].shape
        everywhere = [range(size) for size in self.shape]
        self.dims = [
            dim
            for dim, whole in enumerate(everywhere)
            if any(piece.place.get(dim, whole) != whole for piece in pieces)
        ]
        self.number = find_number(low.constants.get(base.number))
        self.owners = np.full([self.shape[dim] for dim in self.dims], NOBODY)
        for number, piece in enumerate(pieces):
            place = [piece.place.get(dim, everywhere[dim]) for dim in self.dims]
            self.owners[np.ix_(*place) if place else ()] = number

    def build(self) -> NamedValue:
        """Return the whole. Raises Unsupported."""
        if any(BATCH in piece.value.dims[dim] for piece in self.pieces for dim in self.dims):
            raise Unsupported("assignment to single samples of a batch", code="SB964")
        dtype = self.low.trace.values[self.base.number].dtype
        if any(piece.value.dtype != dtype for piece in self.pieces):
            raise Unsupported(f"assignment of numbers of another type to a value of {dtype}", code="SB965")
        whole = self.assemble(self.owners, {dim: range(self.shape[dim]) for dim in self.dims}, self.dims)
        assert whole is not None
        return whole

    def assemble(self, owners: Any, region: Place, dims: Sequence[int]) -> NamedValue | None:
        """Return the value of a region, whose owners along `dims` are given; None if nothing was assigned to it."""
        if (owners == owners.flat[0]).all():
            return self.cut_piece(int(owners.flat[0]), region)
        padded = self.pad_single(owners, region, dims)
        if padded is not None:
            return padded
        first_axis = min(range(len(dims)), key=lambda axis: self.count_pieces(np.moveaxis(owners, axis, 0)))
        owners, dim = np.moveaxis(owners, first_axis, 0), dims[first_axis]
        others = [d for d in dims if d != dim]
        step = self.find_period(owners, dim)
        if step > 1:
            phases = [
                self.assemble(owners[i], {**region, dim: region[dim][i::step]}, others) for i in range(step)
            ]
            return self.interleave(phases, dim)
        found: list[tuple[NamedValue | None, int]] = []
        for start, stop in find_runs(owners):
            inner = self.assemble(owners[start], {**region, dim: region[dim][start:stop]}, others)
            found.append((inner, stop - start))
        return self.join(found, dim)

    def count_pieces(self, owners: Any) -> int:
        """Return how many pieces there are if the first of these dimensions is cut; numbers do not count."""
        cuts = [np.unique(owners[start]) for start, _ in find_runs(owners)]
        return sum(int((cut != NOBODY).sum()) if self.number is not None else len(cut) for cut in cuts)

    def find_period(self, owners: Any, dim: int) -> int:
        """Return after how many positions of the first of these dimensions the owners repeat, if pieces are set by steps."""
        for step in sorted({piece.place[dim].step for piece in self.pieces if dim in piece.place}):
            if (
                step > 1
                and len(owners) % step == 0
                and (owners == np.resize(owners[:step], owners.shape)).all()
            ):
                return step
        return 1

    def cut_piece(self, owner: int, region: Place) -> NamedValue | None:
        """Return what one piece has in a region; of what was not assigned, None for a value that is a number."""
        if owner == NOBODY and self.number is not None:
            return None
        value = self.low.value(self.base) if owner == NOBODY else self.pieces[owner].value
        for dim, wanted in region.items():
            whole = range(self.shape[dim])
            own = whole if owner == NOBODY else self.pieces[owner].place.get(dim, whole)
            if len(wanted) < len(own) and value.dims[dim]:
                step = wanted.step // own.step if len(wanted) > 1 else 1
                item = slice(own.index(wanted[0]), own.index(wanted[-1]) + 1, step)
                value = slice_dim(self.low, value, dim, item)
        return value

    def pad_single(self, owners: Any, region: Place, dims: Sequence[int]) -> NamedValue | None:
        """Return the padded piece if there is only one, without gaps, and numbers around it."""
        inside = np.argwhere(owners != NOBODY)
        if self.number is None or not len(inside):
            return None
        starts, stops = inside.min(0), inside.max(0) + 1
        box = owners[tuple(map(slice, starts, stops))]
        if (box != box.flat[0]).any():
            return None
        part = {dim: region[dim][a:b] for dim, a, b in zip(dims, starts, stops, strict=True)}
        value = self.cut_piece(int(box.flat[0]), {**region, **part})
        assert value is not None
        margins = {}
        for dim, start, stop, size in zip(dims, starts, stops, owners.shape, strict=True):
            margins[dim] = int(start), int(size - stop)
            if any(margins[dim]):
                value = widen_dim(self.low, value, dim, int(stop - start))
        return self.pad(value, margins)

    def pad(self, value: NamedValue, margins: dict[int, tuple[int, int]]) -> NamedValue:
        """Pad a value with the number of the positions that were not assigned."""
        if self.number != self.number or self.number == np.iinfo(np.int64).min:
            raise Unsupported(
                "a part of torch.empty is read that was never assigned", "use torch.zeros", "SB965"
            )
        numbers = [n for dim in reversed(range(len(value.dims))) for n in margins.get(dim, (0, 0))]
        return lower_pad(self.low, value, numbers, value=self.number)

    def join(self, found: Sequence[tuple[NamedValue | None, int]], dim: int) -> NamedValue:
        """Join values of these sizes along a dimension; in place of None, its neighbours are padded."""
        runs: list[tuple[NamedValue, list[int]]] = []  # values, and what is missing before and after each
        before = 0
        for is_gap, group in groupby(found, lambda pair: pair[0] is None):
            members = list(group)
            size = sum(n for _, n in members)
            if not is_gap:
                runs.append(
                    (self.join_values([(v, n) for v, n in members if v is not None], dim), [before, 0])
                )
            elif runs:
                runs[-1][1][1] = size
            before = 0 if runs else size
        joined = [self.pad(value, {dim: (a, b)}) if a or b else value for value, (a, b) in runs]
        return joined[0] if len(joined) == 1 else concat_values(self.low, joined, dim)

    def join_values(self, found: Sequence[tuple[NamedValue, int]], dim: int) -> NamedValue:
        if len(found) == 1:
            [(value, size)] = found
            return widen_dim(self.low, value, dim, size)
        if all(size == 1 and not value.dims[dim] for value, size in found):
            return stack_values(
                self.low, [v.with_dims([*v.dims[:dim], *v.dims[dim + 1 :]]) for v, _ in found], dim
            )
        return concat_values(self.low, [widen_dim(self.low, value, dim, size) for value, size in found], dim)

    def interleave(self, phases: Sequence[NamedValue | None], dim: int) -> NamedValue:
        """Let values take turns along a dimension."""
        apart = [v and v.with_dims([*v.dims[: dim + 1], (), *v.dims[dim + 1 :]]) for v in phases]
        if len(phases) - apart.count(None) == 1:  # the others are numbers
            apart = [
                v and require_axis(self.low, v, dim + 1, self.low.unused_axis("part", v))[0] for v in apart
            ]
        value = self.join([(v, 1) for v in apart], dim + 1)
        value, axis = require_axis(self.low, value, dim)
        value, turn = require_axis(self.low, value, dim + 1)
        sizes = {a: n * (value.axes[turn] if a == axis else 1) for a, n in value.axes.items() if a != turn}
        dims = [*value.dims[: dim + 1], *value.dims[dim + 2 :]]
        attributes = {"axes": [axis, turn]} | ({} if axis == "C" else {"into": axis})
        return self.low.emit("flatten", [value], attributes, sizes=sizes, dims=dims)

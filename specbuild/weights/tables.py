"""Tables whose rows are the places of a grid, such as positions, for a grid of another size.

Which grid: what was told, else what the model says of the values that the table is added to, else squares.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from specbuild.ops.indexing import Embedding
from specbuild.ops.table import Weight
from specbuild.ops.types import CHANNEL, SPATIAL, join_names
from specbuild.weights import table_grids as grids
from specbuild.weights.adapt_options import Adaptation, Sides
from specbuild.weights.mismatch import MismatchedWeight
from specbuild.weights.resample import resample_axis

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

MODE = "resample"
TABLE_OPS = (Weight, Embedding)
MAX_PREFIX = 2  # rows before a grid, where nothing tells how many: tokens of a class and of distillation


class GridChange(NamedTuple):
    """An axis that is resampled: the sides of its grid in the file and in the model, and the rows before it."""

    axis: int
    old: Sides
    new: Sides
    prefix: int = 0


def adapt_table(weight: MismatchedWeight, adaptation: Adaptation) -> tuple[Array, str]:
    """The table on the grid of the model, and how it was made."""
    value, changes = weight.value, plan_resampling(weight, adaptation)
    for axis, old, new, prefix in changes:
        value = resample_axis(
            value, axis, (old, new), prefix, (adaptation.align_corners, adaptation.antialias)
        )
    before = "x".join(str(n) for change in changes for n in change.old)
    after = "x".join(str(n) for change in changes for n in change.new)
    rows = sum(change.prefix for change in changes)
    kept = f" after {rows} {'row' if rows == 1 else 'rows'}" if rows else ""
    return value, f"{MODE} {before} to {after}{kept}"


def plan_resampling(weight: MismatchedWeight, adaptation: Adaptation) -> list[GridChange]:
    """What is resampled; SB807 where it is not known."""
    if not isinstance(weight.node.op, TABLE_OPS):
        weight.reject_mode(MODE, "is for tables, which are steps `weight` and `embedding`")
    if weight.value.ndim != len(weight.location.shape):
        weight.reject_mode(MODE, "needs as many axes in the file")
    differing, names = weight.differing_axes, weight.axis_names
    if (
        differing
        and not (adaptation.old_sides or adaptation.new_sides)
        and all(names[i] in SPATIAL for i in differing)
    ):
        sizes = zip(weight.value.shape, weight.location.shape, strict=True)
        return [GridChange(i, (old,), (new,)) for i, (old, new) in enumerate(sizes) if i in differing]
    if not differing:  # as many places, and yet another grid
        differing = [
            i
            for i, n in enumerate(weight.location.shape)
            if n == prod(adaptation.new_sides or ()) + (adaptation.prefix or 0)
        ]
    if len(differing) != 1:
        differing_names = join_names([names[i] for i in differing])
        weight.reject_mode(
            MODE,
            f"is along one axis, and {differing_names} differ"
            if differing_names
            else "finds no axis of that size",
        )
    return [find_grid_change(weight, adaptation, differing[0])]


def find_grid_change(weight: MismatchedWeight, adaptation: Adaptation, axis: int) -> GridChange:
    """The grid along one axis."""
    few, many = weight.value.shape[axis], weight.location.shape[axis]
    name = weight.axis_names[axis]
    known = grids.infer_grid(weight.block, weight.node, name) if isinstance(weight.node.op, Weight) else None
    old, new, prefix = adaptation.old_sides, adaptation.new_sides, adaptation.prefix
    if name == CHANNEL and not (old and new):
        weight.reject_mode(MODE, "takes channels for no grid", "say from=... and to=... if they are one")
    if new is None and known is not None and (old is None or len(old) == len(known.sides)):
        new = known.sides
    if prefix is None:
        prefix = known.prefix if known else count_prefix_rows(old, new, few, many)
    dimensions = len(old or new or (0, 0))
    old = old or square_sides(few - prefix, dimensions)
    new = new or square_sides(many - prefix, dimensions)
    hint = f"tell the rows before the grid, and its sides: '{adaptation.pattern}={MODE}(prefix=1, from=14x14, to=16x16)'"
    if old is None or new is None:
        count, where = (few, "in the file") if old is None else (many, "in the model")
        what = f" after {prefix}" if prefix else ""
        weight.reject_mode(MODE, f"knows no grid of the {count:,} rows {where}{what}", hint)
    for sides, count, where in ((old, few, "the file"), (new, many, "the model")):
        if prefix + prod(sides) != count:
            shown = "x".join(map(str, sides))
            weight.reject_mode(
                MODE, f"finds {count:,} rows in {where}, which are not {prefix} and {shown}", hint
            )
    return GridChange(axis, old, new, prefix)


def count_prefix_rows(old: Sides | None, new: Sides | None, few: int, many: int) -> int:
    """How many rows come before the grid: what sides that are told leave, else so few that squares are left."""
    if new is not None:
        return max(many - prod(new), 0)
    if old is not None:
        return max(few - prod(old), 0)
    candidates = (p for p in range(MAX_PREFIX + 1) if square_sides(few - p, 2) and square_sides(many - p, 2))
    return next(candidates, 0)


def square_sides(positions: int, dimensions: int) -> Sides | None:
    """A grid of equal sides, if so many places are one."""
    if dimensions == 1:
        return (positions,)
    side = isqrt(max(positions, 0))
    return (side, side) if dimensions == 2 and side and side * side == positions else None

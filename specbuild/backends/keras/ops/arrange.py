"""Places picked, joined and repeated in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline
from specbuild.backends.indexing import indexed, span, widened, with_axes
from specbuild.backends.keras.layout import backend, emits
from specbuild.backends.keras.ops.merge import expanded
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Expr, ListOf
from specbuild.expressions import formula
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.types import Tensor

STACK = External("ops.stack(x, axis=0)")
SPLIT = External("ops.split(x, indices_or_sections, axis=0)")
SQUEEZE = External("ops.squeeze(x, axis=None)")
ROLL = External("ops.roll(x, shift, axis=None)")
FLIP = External("ops.flip(x, axis=None)")
TILE = External("ops.tile(x, repeats)")
REPEAT = External("ops.repeat(x, repeats, axis=None)")


def axis_of(x: Layout, axis: str) -> int:
    """The dimension of an axis, told as -1 if it is the last."""
    dim = x.dim(axis)
    return -1 if dim == x.rank - 1 else dim


def axes_of(x: Layout, axes: tuple[str, ...]) -> Any:
    """The dimension of one axis, or those of several."""
    return axis_of(x, axes[0]) if len(axes) == 1 else x.dims(axes)


@emits(Slice)
def slice_(op: Slice, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    if op.at is not None:
        order = tuple(a for a in here.order if a != op.over)
        return inline(
            indexed(here, op.over, literal(op.at)), Layout(order, here.layout.folded, here.layout.batched)
        )
    return inline(indexed(here, op.over, span(op)), here.layout)


@emits(Split)
def split(op: Split, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    where = literal(len(op.into))
    if isinstance(op.into, Mapping):
        ends: list[Any] = []
        for size in list(op.sizes(x.type).values())[:-1]:
            ends.append(formula("end + size", end=ends[-1], size=size) if ends else size)
        where = ListOf(tuple(map(literal, ends)))
    call = SPLIT(here.expr, where, axis=axis_of(here.layout, op.over))
    return Result(call, here.layout, parts=tuple(op.into))


@emits(Stack)
def stack(op: Stack, *xs: Operand, out: Tensor) -> Result:
    first = next((x for x in xs if x.layout.batched), xs[0]).unfolded()
    order = with_axes(first, (op.axis,), out, backend)
    here = [x.unfolded().to(*first.order) for x in xs]
    parts = tuple(x.expr if x.layout.batched or not out.batched else expanded(x, first) for x in here)
    layout = Layout(order, (), out.batched)
    return inline(STACK(ListOf(parts), axis=axis_of(layout, op.axis)), layout)


@emits(Expand)
def expand(op: Expand, x: Operand, out: Tensor) -> Result:
    here = x.unfolded()
    layout = Layout(with_axes(here, tuple(op.axes), out, backend), (), out.batched)
    call: Expr = widened(here, layout.order, out.batched)
    for axis, size in op.axes.items():
        if not fixed(size, 1):
            call = REPEAT(call, size, axis=axis_of(layout, axis))
    return inline(call, layout)


@emits(Squeeze)
def squeeze(op: Squeeze, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    order = tuple(a for a in here.order if a not in op.over)
    call = SQUEEZE(here.expr, axis=axes_of(here.layout, op.over))
    return inline(call, Layout(order, here.layout.folded, here.layout.batched))


@emits(Roll)
def roll(op: Roll, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.shift)
    axes = tuple(a for a in here.order if a in op.shift)
    shifts = tuple(op.shift[a] for a in axes)
    return inline(
        ROLL(here.expr, shifts[0] if len(axes) == 1 else shifts, axis=axes_of(here.layout, axes)), here.layout
    )


@emits(Flip)
def flip(op: Flip, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    return inline(FLIP(here.expr, axis=axes_of(here.layout, op.over)), here.layout)


@emits(Tile)
def tile(op: Tile, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    times = tuple(op.times if d == here.dim(op.over) else 1 for d in range(here.layout.rank))
    return inline(TILE(here.expr, times), here.layout)


@emits(RepeatInterleave)
def repeat_interleave(op: RepeatInterleave, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    return inline(REPEAT(here.expr, op.times, axis=axis_of(here.layout, op.over)), here.layout)

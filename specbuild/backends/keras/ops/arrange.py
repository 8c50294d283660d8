"""Places picked, joined and repeated in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, is_fixed
from specbuild.backends.indexing import extended_order, index_axis, insert_axes, slice_expression
from specbuild.backends.keras.layout import backend, emits
from specbuild.backends.keras.ops.merge import repeat_for_batch
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Expr, ListOf
from specbuild.expressions import symbolic_formula
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.types import TensorType

STACK = Signature("ops.stack(x, axis=0)")
SPLIT = Signature("ops.split(x, indices_or_sections, axis=0)")
SQUEEZE = Signature("ops.squeeze(x, axis=None)")
ROLL = Signature("ops.roll(x, shift, axis=None)")
FLIP = Signature("ops.flip(x, axis=None)")
TILE = Signature("ops.tile(x, repeats)")
REPEAT = Signature("ops.repeat(x, repeats, axis=None)")


def axis_index(x: Layout, axis: str) -> int:
    """The dimension of an axis, told as -1 if it is the last."""
    dim = x.dim(axis)
    return -1 if dim == x.rank - 1 else dim


def axis_argument(x: Layout, axes: tuple[str, ...]) -> Any:
    """The dimension of one axis, or those of several."""
    return axis_index(x, axes[0]) if len(axes) == 1 else x.sorted_dims(axes)


@emits(Slice)
def emit_slice(op: Slice, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    if op.at is not None:
        order = tuple(a for a in here.order if a != op.over)
        return inline_result(
            index_axis(here, op.over, literal_expression(op.at)),
            Layout(order, here.layout.folded, here.layout.batched),
        )
    return inline_result(index_axis(here, op.over, slice_expression(op)), here.layout)


@emits(Split)
def emit_split(op: Split, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    where = literal_expression(len(op.into))
    if isinstance(op.into, Mapping):
        ends: list[Any] = []
        for size in list(op.part_sizes(x.type).values())[:-1]:
            ends.append(symbolic_formula("end + size", end=ends[-1], size=size) if ends else size)
        where = ListOf(tuple(map(literal_expression, ends)))
    call = SPLIT(here.expr, where, axis=axis_index(here.layout, op.over))
    return LoweringResult(call, here.layout, parts=tuple(op.into))


@emits(Stack)
def emit_stack(op: Stack, *xs: Operand, out: TensorType) -> LoweringResult:
    first = next((x for x in xs if x.layout.batched), xs[0]).unfold_axes()
    order = extended_order(first, (op.axis,), out, backend)
    here = [x.unfold_axes().to_order(*first.order) for x in xs]
    parts = tuple(x.expr if x.layout.batched or not out.batched else repeat_for_batch(x, first) for x in here)
    layout = Layout(order, (), out.batched)
    return inline_result(STACK(ListOf(parts), axis=axis_index(layout, op.axis)), layout)


@emits(Expand)
def emit_expand(op: Expand, x: Operand, out: TensorType) -> LoweringResult:
    here = x.unfold_axes()
    layout = Layout(extended_order(here, tuple(op.axes), out, backend), (), out.batched)
    call: Expr = insert_axes(here, layout.order, out.batched)
    for axis, size in op.axes.items():
        if not is_fixed(size, 1):
            call = REPEAT(call, size, axis=axis_index(layout, axis))
    return inline_result(call, layout)


@emits(Squeeze)
def emit_squeeze(op: Squeeze, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    order = tuple(a for a in here.order if a not in op.over)
    call = SQUEEZE(here.expr, axis=axis_argument(here.layout, op.over))
    return inline_result(call, Layout(order, here.layout.folded, here.layout.batched))


@emits(Roll)
def emit_roll(op: Roll, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.shift)
    axes = tuple(a for a in here.order if a in op.shift)
    shifts = tuple(op.shift[a] for a in axes)
    return inline_result(
        ROLL(here.expr, shifts[0] if len(axes) == 1 else shifts, axis=axis_argument(here.layout, axes)),
        here.layout,
    )


@emits(Flip)
def emit_flip(op: Flip, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    return inline_result(FLIP(here.expr, axis=axis_argument(here.layout, op.over)), here.layout)


@emits(Tile)
def emit_tile(op: Tile, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    times = tuple(op.times if d == here.dim(op.over) else 1 for d in range(here.layout.rank))
    return inline_result(TILE(here.expr, times), here.layout)


@emits(RepeatInterleave)
def emit_repeat_interleave(op: RepeatInterleave, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    return inline_result(REPEAT(here.expr, op.times, axis=axis_index(here.layout, op.over)), here.layout)

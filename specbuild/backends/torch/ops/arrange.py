"""Places picked, joined and repeated in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, is_fixed
from specbuild.backends.indexing import extended_order, index_axis, insert_axes, slice_expression
from specbuild.backends.torch.layout import backend, call_method, emits
from specbuild.backends.torch.ops.merge import repeat_for_batch
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Expr, ListOf
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.types import TensorType

STACK = Signature("torch.stack(tensors, dim=0)")
ROLL = Signature("torch.roll(input, shifts, dims=None)")


def negative_if_last(x: Layout, dim: int) -> int:
    """A dimension, told as -1 if it is the last."""
    return -1 if dim == x.rank - 1 else dim


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
    dim = negative_if_last(here.layout, here.dim(op.over))
    if isinstance(op.into, Mapping):
        call = call_method(here.expr, "split", tuple(op.part_sizes(x.type).values()), dim=dim)
    else:
        call = call_method(here.expr, "chunk", len(op.into), dim=dim)
    return LoweringResult(call, here.layout, parts=tuple(op.into))


@emits(Stack)
def emit_stack(op: Stack, *xs: Operand, out: TensorType) -> LoweringResult:
    first = next((x for x in xs if x.layout.batched), xs[0]).unfold_axes()
    order = extended_order(first, (op.axis,), out, backend)
    here = [x.unfold_axes().to_order(*first.order) for x in xs]
    parts = tuple(x.expr if x.layout.batched or not out.batched else repeat_for_batch(x, first) for x in here)
    layout = Layout(order, (), out.batched)
    return inline_result(STACK(ListOf(parts), dim=negative_if_last(layout, layout.dim(op.axis))), layout)


@emits(Expand)
def emit_expand(op: Expand, x: Operand, out: TensorType) -> LoweringResult:
    here = x.unfold_axes()
    layout = Layout(extended_order(here, tuple(op.axes), out, backend), (), out.batched)
    call: Expr = insert_axes(here, layout.order, out.batched)
    if any(not is_fixed(n, 1) for n in op.axes.values()):
        batch = (-1,) if out.batched else ()
        call = call_method(call, "expand", *batch, *(op.axes.get(a, -1) for a in layout.order))
    return inline_result(call, layout)


@emits(Squeeze)
def emit_squeeze(op: Squeeze, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    dims = here.sorted_dims(op.over)
    order = tuple(a for a in here.order if a not in op.over)
    call = call_method(
        here.expr, "squeeze", negative_if_last(here.layout, dims[0]) if len(dims) == 1 else dims
    )
    return inline_result(call, Layout(order, here.layout.folded, here.layout.batched))


@emits(Roll)
def emit_roll(op: Roll, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.shift)
    axes = [a for a in here.order if a in op.shift]
    shifts, dims = tuple(op.shift[a] for a in axes), here.sorted_dims(tuple(axes))
    one = len(axes) == 1
    return inline_result(
        ROLL(here.expr, shifts[0] if one else shifts, dims=dims[0] if one else dims), here.layout
    )


@emits(Flip)
def emit_flip(op: Flip, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    dims = here.sorted_dims(op.over)
    return inline_result(
        call_method(here.expr, "flip", negative_if_last(here.layout, dims[0]) if len(dims) == 1 else dims),
        here.layout,
    )


@emits(Tile)
def emit_tile(op: Tile, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    times = [op.times if d == here.dim(op.over) else 1 for d in range(here.layout.rank)]
    return inline_result(call_method(here.expr, "repeat", *times), here.layout)


@emits(RepeatInterleave)
def emit_repeat_interleave(op: RepeatInterleave, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, [op.over])
    dim = negative_if_last(here.layout, here.dim(op.over))
    return inline_result(call_method(here.expr, "repeat_interleave", op.times, dim=dim), here.layout)

"""Slicing, splitting, stacking and repeating in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.backends.align import reduced_layout, unfold_axes
from specbuild.backends.base import inline_result, is_fixed
from specbuild.backends.indexing import (
    axis_argument,
    axis_index,
    emit_slice,
    extended_order,
    insert_axes,
    stack_operands,
)
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import backend, call_method, emits
from specbuild.backends.torch.ops.merge import repeat_for_batch
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, Infix, Literal
from specbuild.expressions import expression_of, symbolic_chain
from specbuild.ir.axis_sources import follows_sizes
from specbuild.ir.graph import Block
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

STACK = Signature("torch.stack(tensors, dim=0)")
ROLL = Signature("torch.roll(input, shifts, dims=None)")


emits(Slice)(emit_slice)


@emits(Split)
def emit_split(op: Split, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    dim = axis_index(x.layout, op.over)
    code: Expr
    if not op.keep:
        layout = reduced_layout(x, (op.over,), False)
        return LoweringResult(call_method(x.expr, "unbind", dim), layout, parts=tuple(op.into))
    if isinstance(op.into, Mapping):
        sizes = tuple(op.part_sizes(x.type).values())
        *known, rest = op.into.values()
        if rest == -1 and not expression_of(x.type[op.over]) and any(map(expression_of, known)):
            ends = tuple(symbolic_chain("+", known[: i + 1]) for i in range(len(known)))
            code = call_method(x.expr, "tensor_split", ends, dim=dim)  # of whatever size there is
        else:
            code = call_method(x.expr, "split", sizes, dim=dim)
    else:
        code = emit_equal_parts(op, x, dim)
    return LoweringResult(code, x.layout, parts=tuple(op.into))


def emit_equal_parts(op: Split, x: Operand, dim: int) -> Expr:
    """Return code for parts of one size. `chunk` would also take a size that cannot be divided."""
    count, expression = len(op.into), expression_of(x.type[op.over])
    if op.over == CHANNEL:  # the constructor checks the number where it has it
        is_checked = expression is None or has_layers(x.lowering.block)
    else:
        is_checked = expression is not None and x.lowering.block.readable_sizes.isdisjoint(expression.names)
    if is_checked:
        return call_method(x.expr, "chunk", count, dim=dim)
    size = Index(Attribute(x.expr, "shape"), (Literal(x.layout.dim(op.over)),))
    return call_method(x.expr, "split", Infix("//", size, Literal(count)), dim=dim)


def has_layers(block: Block) -> bool:
    """Return whether the class of a block gets numbers of channels: for weights, or for a class in it."""
    return any(
        isinstance(node.op, Block)
        or (
            isinstance(node.op, Op)
            and bool(
                node.op.weight_specs(*(None if ref is None else block.value_type(ref) for ref in node.inputs))
            )
        )
        for node in block.nodes
    )


@emits(Stack)
def emit_stack(op: Stack, *xs: Operand, out: TensorType) -> LoweringResult:
    parts, layout = stack_operands(op, xs, out, backend, repeat_for_batch)
    return inline_result(STACK(parts, dim=axis_index(layout, op.axis)), layout)


@emits(Expand)
def emit_expand(op: Expand, x: Operand, out: TensorType) -> LoweringResult:
    x = x.unfold_axes()
    layout = Layout(extended_order(x, tuple(op.axes), out, backend), (), out.batched)
    code: Expr = insert_axes(x, layout.order, out.batched)
    if any(not is_fixed(n, 1) for n in op.axes.values()):
        batch = (-1,) if out.batched else ()
        code = call_method(code, "expand", *batch, *(op.axes.get(a, -1) for a in layout.order))
    return inline_result(code, layout)


@emits(Squeeze)
def emit_squeeze(op: Squeeze, x: Operand, out: TensorType) -> LoweringResult:
    block, ref = x.lowering.block, x.value.key
    x = unfold_axes(x, op.over)
    order = tuple(a for a in x.order if a not in op.over)
    code = x.expr
    if any(axis != CHANNEL and follows_sizes(block, ref, axis) for axis in op.over):
        # `squeeze` leaves an axis that has another size at another size of the input; `expand` refuses it
        sizes = (*([-1] * x.layout.batched), *(1 if axis in op.over else -1 for axis in x.order))
        code = call_method(code, "expand", *sizes)
    code = call_method(code, "squeeze", axis_argument(x.layout, op.over))
    return inline_result(code, Layout(order, x.layout.batch_axes, x.layout.batched))


@emits(Roll)
def emit_roll(op: Roll, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.shift)
    axes = tuple(a for a in x.order if a in op.shift)
    shifts, dims = tuple(op.shift[a] for a in axes), x.sorted_dims(axes)
    if len(axes) == 1:
        return inline_result(ROLL(x.expr, shifts[0], dims=dims[0]), x.layout)
    return inline_result(ROLL(x.expr, shifts, dims=dims), x.layout)


@emits(Flip)
def emit_flip(op: Flip, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    return inline_result(call_method(x.expr, "flip", axis_argument(x.layout, op.over)), x.layout)


@emits(Tile)
def emit_tile(op: Tile, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    times = [op.times if d == x.dim(op.over) else 1 for d in range(x.layout.rank)]
    return inline_result(call_method(x.expr, "repeat", *times), x.layout)


@emits(RepeatInterleave)
def emit_repeat_interleave(op: RepeatInterleave, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    dim = axis_index(x.layout, op.over)
    return inline_result(call_method(x.expr, "repeat_interleave", op.times, dim=dim), x.layout)

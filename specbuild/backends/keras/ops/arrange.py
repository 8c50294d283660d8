"""Slicing, splitting, stacking and repeating in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from specbuild.backends.align import reduced_layout, unfold_axes
from specbuild.backends.base import inline_result, is_fixed
from specbuild.backends.indexing import (
    WHOLE_AXIS,
    axis_argument,
    axis_index,
    emit_slice,
    extended_order,
    insert_axes,
    stack_operands,
)
from specbuild.backends.keras.framework import backend, call_function, emits
from specbuild.backends.keras.layers import is_weight
from specbuild.backends.keras.ops.merge import repeat_for_batch
from specbuild.backends.keras.required_sizes import require_sizes
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, ListOf, Name, SliceExpr
from specbuild.expressions import symbolic_formula
from specbuild.ir.axis_sources import reads_input_size
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.types import TensorType

STACK = Signature("ops.stack(x, axis=0)")
SPLIT = Signature("ops.split(x, indices_or_sections, axis=0)")
UNSTACK = Signature("ops.unstack(x, num=None, axis=0)")
SQUEEZE = Signature("ops.squeeze(x, axis=None)")
ROLL = Signature("ops.roll(x, shift, axis=None)")
FLIP = Signature("ops.flip(x, axis=None)")
TILE = Signature("ops.tile(x, repeats)")
REPEAT = Signature("ops.repeat(x, repeats, axis=None)")


@emits(Slice)
def emit_slice_with_rest(op: Slice, x: Operand, out: TensorType) -> LoweringResult:
    """Return a slice. Keras refuses `x[:4]` for a symbolic value, but takes `x[:4, :]` and `x[:4, ...]`."""
    result = emit_slice(op, x, out)
    match result.call:
        case Index(value, (SliceExpr() as positions,)):
            rest = WHOLE_AXIS if len(result.layout.order) > 1 else Name("...")
            return replace(result, call=Index(value, (positions, rest)))
    return result


@emits(Split)
def emit_split(op: Split, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    axis = axis_index(x.layout, op.over)
    if not op.keep:
        layout = reduced_layout(x, (op.over,), False)
        return LoweringResult(UNSTACK(x.expr, axis=axis), layout, parts=tuple(op.into))
    value = require_sizes(op, x) or x.expr
    if not isinstance(op.into, Mapping):
        code = SPLIT(value, literal_expression(len(op.into)), axis=axis)
        return LoweringResult(code, x.layout, parts=tuple(op.into))
    ends: list[Any] = []
    for size in list(op.part_sizes(x.type).values())[:-1]:
        ends.append(symbolic_formula("end + size", end=ends[-1], size=size) if ends else size)
    sections = ListOf(tuple(map(literal_expression, ends)))
    if any(reads_input_size(x.lowering.block, end) for end in ends):
        code = call_function("split_at", value, sections, literal_expression(axis))
    else:
        code = SPLIT(value, sections, axis=axis)
    return LoweringResult(code, x.layout, parts=tuple(op.into))


@emits(Stack)
def emit_stack(op: Stack, *xs: Operand, out: TensorType) -> LoweringResult:
    parts, layout = stack_operands(op, xs, out, backend, repeat_for_batch)
    items = tuple(
        call_function("ops.cast", part, Attribute(part, "dtype")) if is_own_weight(x) else part
        for part, x in zip(parts.items, xs, strict=True)
    )
    return inline_result(STACK(ListOf(items), axis=axis_index(layout, op.axis)), layout)


def is_own_weight(x: Operand) -> bool:
    """Return whether an operand is a weight of the block. TensorFlow stacks tensors, not Keras' variables."""
    return any(step.key == x.value.key and is_weight(step) for step in x.lowering.steps)


@emits(Expand)
def emit_expand(op: Expand, x: Operand, out: TensorType) -> LoweringResult:
    x = x.unfold_axes()
    layout = Layout(extended_order(x, tuple(op.axes), out, backend), (), out.batched)
    code: Expr = insert_axes(x, layout.order, out.batched)
    for axis, size in op.axes.items():
        if not is_fixed(size, 1):
            code = REPEAT(code, size, axis=axis_index(layout, axis))
    return inline_result(code, layout)


@emits(Squeeze)
def emit_squeeze(op: Squeeze, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    order = tuple(a for a in x.order if a not in op.over)
    code = SQUEEZE(x.expr, axis=axis_argument(x.layout, op.over))
    return inline_result(code, Layout(order, x.layout.batch_axes, x.layout.batched))


@emits(Roll)
def emit_roll(op: Roll, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.shift)
    axes = tuple(a for a in x.order if a in op.shift)
    shifts = tuple(op.shift[a] for a in axes)
    shift = shifts[0] if len(axes) == 1 else shifts
    return inline_result(ROLL(x.expr, shift, axis=axis_argument(x.layout, axes)), x.layout)


@emits(Flip)
def emit_flip(op: Flip, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    return inline_result(FLIP(x.expr, axis=axis_argument(x.layout, op.over)), x.layout)


@emits(Tile)
def emit_tile(op: Tile, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    times = tuple(op.times if d == x.dim(op.over) else 1 for d in range(x.layout.rank))
    return inline_result(TILE(x.expr, times), x.layout)


@emits(RepeatInterleave)
def emit_repeat_interleave(op: RepeatInterleave, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    return inline_result(REPEAT(x.expr, op.times, axis=axis_index(x.layout, op.over)), x.layout)

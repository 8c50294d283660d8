"""Padding, unfolding into windows, and folding back, in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, is_fixed
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.ops.convolution import arrange_window_axes, collapse_sides
from specbuild.backends.keras.ops.resize import size_expression
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Index, Literal
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import TensorType
from specbuild.ops.window import PaddingPair, values_per_axis

PAD = Signature("ops.pad(x, pad_width, mode='constant', constant_values=None)")
FOLD = Signature("fold(x, kernel, strides, padding, dilation, size=None)")


def pad_axes(x: Operand, sides: Mapping[str, PaddingPair], **keywords: Any) -> Expr:
    """Return a value with padding at both ends of axes."""
    if all(is_fixed(n, 0) for pair in sides.values() for n in pair):
        return x.expr
    pads = tuple(sides.get(axis, (0, 0)) for axis in x.order)
    return PAD(x.expr, ((0, 0), *pads) if x.layout.batched else pads, **keywords)


def can_reflect(x: Operand, sides: Mapping[str, PaddingPair]) -> bool:
    """Return whether `ops.pad` can reflect this value on every runtime.

    On PyTorch it cannot reflect channels.
    """
    return x.layout.batched and len(x.order) <= 3 and x.order[-1] not in sides


@emits(Pad)
def emit_pad(op: Pad, x: Operand, out: TensorType) -> LoweringResult:
    sides = op.axis_padding(x.type)
    x = unfold_axes(x, sides)
    if op.mode == "constant":
        keywords = {} if is_fixed(op.value, 0) else {"constant_values": op.value}
        return inline_result(pad_axes(x, sides, **keywords), x.layout)
    if op.mode == "reflect" and can_reflect(x, sides):
        return inline_result(pad_axes(x, sides, mode="reflect"), x.layout)
    last = max(x.order.index(axis) for axis in sides)
    pads = tuple(sides.get(axis, (0, 0)) for axis in x.order[: last + 1])
    if x.layout.batched:
        return inline_result(call_function("pad_places", x.expr, pads, op.mode), x.layout)
    with_batch = call_function("ops.expand_dims", x.expr, axis=0)
    padded = call_function("pad_places", with_batch, pads, op.mode)
    return inline_result(Index(padded, (Literal(0),)), x.layout)


@emits(Unfold)
def emit_unfold(op: Unfold, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    pads = collapse_sides(window)
    code = call_function("unfold", x.expr, window.kernel, window.stride, pads, window.dilation)
    return inline_result(code, Layout((*window.axes, op.into, *x.order[-1:]), x.layout.batch_axes))


@emits(Fold)
def emit_fold(op: Fold, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes, op.axis)
    pads = tuple(before for before, _ in window.pads or ())
    size: dict[str, Any] = {}
    if like is not None:
        size = {"size": size_expression(like, window.axes)}
    elif op.size is not None:
        size = {"size": literal_expression(values_per_axis(op.size, window.axes, "size"))}
    code = FOLD(x.expr, window.kernel, window.stride, pads, window.dilation, **size)
    order = tuple(a for a in x.order if a != op.axis)
    return inline_result(code, Layout(order, x.layout.batch_axes))

"""Padding, unfolding into windows, and folding back, in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuild.backends.align import split_window_axes, unfold_axes
from specbuild.backends.base import collapse_equal, inline_result, is_fixed
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.backends.torch.ops.convolution import PAD, arrange_window_axes, pad_argument
from specbuild.backends.torch.ops.resize import size_expression
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, Infix, Literal, Name, SliceExpr, TupleOf
from specbuild.expressions import concrete
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import TensorType
from specbuild.ops.window import PaddingPair, SlidingWindow, values_per_axis

FOLD = Signature("F.fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)")


def pad_axes(x: Expr, order: tuple[str, ...], sides: Mapping[str, PaddingPair], **keywords: Any) -> Expr:
    """Return a value with padding at both ends of axes. `order` names its last dimensions."""
    if all(is_fixed(n, 0) for pair in sides.values() for n in pair):
        return x
    pads = pad_argument(*(n for axis in reversed(order) for n in sides.get(axis, (0, 0))))
    return PAD(x, pads, **keywords)


def padded_dimensions(x: Operand, axes: Iterable[str]) -> tuple[str, ...]:
    """Return all dimensions from the first of these axes to the last dimension."""
    return x.order[min(x.order.index(axis) for axis in axes) :]


@emits(Pad)
def emit_pad(op: Pad, x: Operand, out: TensorType) -> LoweringResult:
    sides = op.axis_padding(x.type)
    if op.mode == "constant":
        x = unfold_axes(x, sides)
        keywords = {} if is_fixed(op.value, 0) else {"value": op.value}
        return inline_result(pad_axes(x.expr, padded_dimensions(x, sides), sides, **keywords), x.layout)
    x = arrange_for_padding(x, tuple(sides))
    order = x.order if len(x.order) == len(sides) else x.order[1:]
    return inline_result(pad_axes(x.expr, order, sides, mode=op.mode), x.layout)


def arrange_for_padding(x: Operand, axes: tuple[str, ...]) -> Operand:
    """Return an operand that PyTorch can pad by its own values: with one to three axes after the channels."""
    if x.layout.batched and x.order[0] not in axes and set(axes) < set(x.order) and len(x.order) <= 4:
        return x
    others = [a for a in (*x.layout.batch_axes, *x.order) if a not in axes]
    if x.layout.batched and others:
        return arrange_window_axes(x, axes)
    if x.layout.batched or len(others) == 1:
        return x.unfold_axes().to_order(*others, *axes)  # PyTorch treats the first dimension as the channels
    raise MissingBatch("this padding mode needs a batch dimension or one axis that is not padded")


@emits(Unfold)
def emit_unfold(op: Unfold, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = unfold_axes(x, window.axes)
    sides = dict(zip(window.axes, window.pads or (), strict=True))
    value = pad_axes(x.expr, padded_dimensions(x, sides), sides)
    for i, axis in enumerate(window.axes):
        value = call_method(value, "unfold", x.dim(axis), window.effective_size(i), window.stride[i])
        if not is_fixed(window.dilation[i], 1):
            value = Index(value, (Name("..."), SliceExpr(step=literal_expression(window.dilation[i]))))
    n = len(window.axes)
    value = value if n == 1 else call_method(value, "flatten", -n)
    return inline_result(value, Layout((*x.order, op.into), x.layout.batch_axes, x.layout.batched))


@emits(Fold)
def emit_fold(op: Fold, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    axes = window.axes
    channel, batch_axes = split_window_axes(x, (*axes, op.axis))
    x = x.to_order(channel, op.axis, *axes, batch_axes=batch_axes)
    sizes = output_sizes(op, x, like, window)
    layout = Layout((channel, *axes), x.layout.batch_axes)
    defaults = {"dilation": 1, "padding": 0, "stride": 1}
    values: dict[str, tuple[int, ...]] = {
        "dilation": window.dilation,
        "padding": tuple(before for before, _ in window.pads or ()),
        "stride": window.stride,
    }
    arguments = {k: v for k, v in values.items() if not all(is_fixed(n, defaults[k]) for n in v)}
    if len(axes) == 2:
        value = call_method(call_method(x.expr, "flatten", 3), "flatten", 1, 2)
        size = TupleOf(tuple(sizes)) if like is None else size_expression(like, axes)
        keywords = {k: collapse_equal(v) for k, v in arguments.items()}
        return inline_result(FOLD(value, size, collapse_equal(window.kernel), **keywords), layout)
    value = call_method(x.expr, "flatten", 1, 2)
    # F.fold needs two axes: add one of size 1
    keywords = {k: (*v, defaults[k]) for k, v in arguments.items()}
    code = FOLD(value, TupleOf((*sizes, Literal(1))), (*window.kernel, 1), **keywords)
    return inline_result(call_method(code, "squeeze", -1), layout)


def output_sizes(op: Fold, x: Operand, like: Operand | None, window: SlidingWindow) -> list[Expr]:
    """Return the size of each axis: from `like`, from the attribute `size`, or the smallest possible."""
    if like is not None:
        like = unfold_axes(like, window.axes)
        return [Index(Attribute(like.expr, "shape"), (Literal(like.dim(axis)),)) for axis in window.axes]
    if op.size is not None:
        return [literal_expression(n) for n in values_per_axis(op.size, window.axes, "size")]
    return [smallest_size(x, window, i) for i in range(len(window.axes))]


def smallest_size(x: Operand, window: SlidingWindow, i: int) -> Expr:
    """Return `(n - 1) * stride + window size - padding` for n windows along the i-th axis."""
    count: Expr = Index(Attribute(x.expr, "shape"), (Literal(x.dim(window.axes[i])),))
    summand = window.effective_size(i) - sum(map(concrete, (window.pads or ())[i]))
    if is_fixed(window.stride[i], 1):
        summand -= 1
    else:
        count = Infix("*", Infix("-", count, Literal(1)), literal_expression(window.stride[i]))
    if not summand:
        return count
    return Infix("+" if summand > 0 else "-", count, Literal(abs(summand)))

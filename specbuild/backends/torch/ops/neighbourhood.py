"""Padding, windows and their sums in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, collapse_equal, inline_result, is_fixed
from specbuild.backends.torch.layout import call_method, emits
from specbuild.backends.torch.ops.convolution import PAD, arrange_window_axes, pad_argument
from specbuild.backends.torch.ops.resize import size_expression
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Attribute, Expr, Index, Infix, Literal, Name, Slice, TupleOf
from specbuild.expressions import concrete
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.window import PaddingPair, SlidingWindow, values_per_axis

FOLD = Signature("F.fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)")


def pad_axes(x: Expr, order: tuple[str, ...], sides: Mapping[str, PaddingPair], **more: Any) -> Expr:
    """A value with something at both ends of axes; `order` are its last dimensions, of which all may be padded."""
    if all(is_fixed(n, 0) for pair in sides.values() for n in pair):
        return x
    return PAD(x, pad_argument(*(n for axis in reversed(order) for n in sides.get(axis, (0, 0)))), **more)


def padded_dimensions(x: Operand, axes: Iterable[str]) -> tuple[str, ...]:
    """The dimensions from the first one of these axes on."""
    return x.order[min(x.order.index(axis) for axis in axes) :]


@emits(Pad)
def emit_pad(op: Pad, x: Operand, out: TensorType) -> LoweringResult:
    sides = op.axis_padding(x.type)
    if op.mode == "constant":
        here = unfold_axes(x, sides)
        value = concrete(op.value) if x.type.dtype == "float" else int(op.value)
        more = {"value": value} if value else {}
        return inline_result(pad_axes(here.expr, padded_dimensions(here, sides), sides, **more), here.layout)
    here = arrange_for_padding(x, tuple(sides))
    order = here.order if len(here.order) == len(sides) else here.order[1:]
    return inline_result(pad_axes(here.expr, order, sides, mode=op.mode), here.layout)


def arrange_for_padding(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as PyTorch pads it by its own values: one dimension beside one to three that may be padded."""
    if x.layout.batched and x.order[0] not in axes and set(axes) < set(x.order) and len(x.order) <= 4:
        return x
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    if x.layout.batched and others:
        return arrange_window_axes(x, axes)
    if x.layout.batched or len(others) == 1:
        return x.unfold_axes().to_order(*others, *axes)  # the first dimension stands for C
    raise UnsupportedOp("by its own values it pads only what has a batch or one axis more")


@emits(Unfold)
def emit_unfold(op: Unfold, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = unfold_axes(x, window.axes)
    sides = dict(zip(window.axes, window.pads or (), strict=True))
    value = pad_axes(here.expr, padded_dimensions(here, sides), sides)
    for i, axis in enumerate(window.axes):
        value = call_method(value, "unfold", here.dim(axis), window.effective_size(i), window.stride[i])
        if not is_fixed(window.dilation[i], 1):
            value = Index(value, (Name("..."), Slice(step=literal_expression(window.dilation[i]))))
    n = len(window.axes)
    value = value if n == 1 else call_method(value, "flatten", -n)
    return inline_result(value, Layout((*here.order, op.into), here.layout.folded, here.layout.batched))


@emits(Fold)
def emit_fold(op: Fold, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    others = [a for a in (*x.layout.folded, *x.order) if a not in (*window.axes, op.axis)]
    if not x.layout.batched:
        raise UnsupportedOp("windows of a value without a batch are not folded")
    channel = CHANNEL if CHANNEL in others else others[-1]
    here = x.to_order(channel, op.axis, *window.axes, folded=tuple(a for a in others if a != channel))
    axes, halves = window.axes, tuple(before for before, _ in window.pads or ())
    each = output_sizes(op, here, like, window)
    layout = Layout((channel, *axes), here.layout.folded)
    how: dict[str, tuple[tuple[int, ...], int]] = {
        "dilation": (window.dilation, 1),
        "padding": (halves, 0),
        "stride": (window.stride, 1),
    }
    given = {
        name: value for name, (value, default) in how.items() if not all(is_fixed(n, default) for n in value)
    }
    value: Expr
    size: Expr
    if len(axes) == 2:
        value = call_method(call_method(here.expr, "flatten", 3), "flatten", 1, 2)
        more = {name: collapse_equal(value) for name, value in given.items()}
        size = TupleOf(tuple(each)) if like is None else size_expression(like, axes)
        return inline_result(FOLD(value, size, collapse_equal(window.kernel), **more), layout)
    value = call_method(here.expr, "flatten", 1, 2)  # F.fold has two axes: the second one is of size 1 here
    more = {name: (*value, how[name][1]) for name, value in given.items()}
    size = TupleOf((*each, Literal(1)))
    return inline_result(call_method(FOLD(value, size, (*window.kernel, 1), **more), "squeeze", -1), layout)


def output_sizes(op: Fold, x: Operand, like: Operand | None, window: SlidingWindow) -> list[Expr]:
    """The size for each axis: that of another value, the one that is given, or the least, read off the windows."""
    if like is not None:
        there = unfold_axes(like, window.axes)
        return [Index(Attribute(there.expr, "shape"), (Literal(there.dim(axis)),)) for axis in window.axes]
    if op.size is not None:
        return [literal_expression(n) for n in values_per_axis(op.size, window.axes, "size")]
    return [least_size(x, window, i) for i in range(len(window.axes))]


def least_size(x: Operand, window: SlidingWindow, i: int) -> Expr:
    """(n - 1) * stride + reach - padding, for n windows."""
    count: Expr = Index(Attribute(x.expr, "shape"), (Literal(x.dim(window.axes[i])),))
    more = window.effective_size(i) - sum(map(concrete, (window.pads or ())[i]))
    if is_fixed(window.stride[i], 1):
        more -= 1
    else:
        count = Infix("*", Infix("-", count, Literal(1)), literal_expression(window.stride[i]))
    return Infix("+" if more > 0 else "-", count, Literal(abs(more))) if more else count

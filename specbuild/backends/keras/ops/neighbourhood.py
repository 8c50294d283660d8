"""Padding, windows and their sums in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, is_fixed
from specbuild.backends.keras.layout import call_function, emits
from specbuild.backends.keras.ops.resize import size_expression
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Expr, Index, Literal
from specbuild.expressions import concrete, expression_of
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.window import PaddingPair, values_per_axis

PAD = Signature("ops.pad(x, pad_width, mode='constant', constant_values=None)")
FOLD = Signature("fold(x, kernel, strides, padding, dilation, size=None)")


def pad_axes(x: Expr, layout: Layout, sides: Mapping[str, PaddingPair], **more: Any) -> Expr:
    """A value with something at both ends of axes, whichever dimensions they are."""
    if all(is_fixed(n, 0) for pair in sides.values() for n in pair):
        return x
    pads = tuple(sides.get(axis, (0, 0)) for axis in layout.order)
    return PAD(x, ((0, 0), *pads) if layout.batched else pads, **more)


def can_reflect(x: Operand, sides: Mapping[str, PaddingPair]) -> bool:
    """Whether Keras itself reflects this on every runtime: on PyTorch's only maps, and not their channels."""
    return x.layout.batched and len(x.order) <= 3 and x.order[-1] not in sides


@emits(Pad)
def emit_pad(op: Pad, x: Operand, out: TensorType) -> LoweringResult:
    sides = op.axis_padding(x.type)
    here = unfold_axes(x, sides)
    if op.mode == "constant":
        value = concrete(op.value) if x.type.dtype == "float" else int(op.value)
        return inline_result(
            pad_axes(here.expr, here.layout, sides, **({"constant_values": value} if value else {})),
            here.layout,
        )
    if op.mode == "reflect" and can_reflect(here, sides):
        return inline_result(pad_axes(here.expr, here.layout, sides, mode="reflect"), here.layout)
    last = max(here.order.index(axis) for axis in sides)
    pads = tuple(sides.get(axis, (0, 0)) for axis in here.order[: last + 1])
    batch = here.expr if here.layout.batched else call_function("ops.expand_dims", here.expr, axis=0)
    result: Expr = call_function("pad_places", batch, pads, op.mode)
    return inline_result(result if here.layout.batched else Index(result, (Literal(0),)), here.layout)


def move_window_first(x: Operand, axes: tuple[str, ...], *more: str) -> Operand:
    """The operand with the window's axes first, then `more`, then C (or what stands for it); all others folded."""
    if not x.layout.batched:
        raise UnsupportedOp(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in (*axes, *more)]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to_order(*axes, *more, channel, folded=tuple(a for a in others if a != channel))


@emits(Unfold)
def emit_unfold(op: Unfold, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = move_window_first(x, window.axes)
    pads = tuple(
        a if a == b and expression_of(a) == expression_of(b) else (a, b) for a, b in window.pads or ()
    )
    result = call_function("unfold", here.expr, window.kernel, window.stride, pads, window.dilation)
    return inline_result(result, Layout((*window.axes, op.into, *here.order[-1:]), here.layout.folded))


@emits(Fold)
def emit_fold(op: Fold, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = move_window_first(x, window.axes, op.axis)
    halves = tuple(before for before, _ in window.pads or ())
    size: dict[str, Any] = {}
    if like is not None:
        size = {"size": size_expression(like, window.axes)}
    elif op.size is not None:
        size = {"size": literal_expression(values_per_axis(op.size, window.axes, "size"))}
    result = FOLD(here.expr, window.kernel, window.stride, halves, window.dilation, **size)
    order = tuple(a for a in here.order if a != op.axis)
    return inline_result(result, Layout(order, here.layout.folded))

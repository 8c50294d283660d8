"""Convolutions and linear maps in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, prod
from typing import Any

from specbuild.backends.align import split_window_axes, unfold_axes
from specbuild.backends.base import collapse_equal, layer_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import emits
from specbuild.codegen.constructions import OWN_MEMBER, literal_expression
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Infix, ListOf, Literal, Name
from specbuild.expressions import concrete, expression_of
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.ops.initializers import Init
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.window import SlidingWindow

CONV = {
    n: Signature(
        f"nn.Conv{n}d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros')"
    )
    for n in (1, 2, 3)
}
CONV_TRANSPOSE = {
    n: Signature(
        f"nn.ConvTranspose{n}d(in_channels, out_channels, kernel_size, "
        "stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1)"
    )
    for n in (1, 2, 3)
}
LINEAR = Signature("nn.Linear(in_features, out_features, bias=True)")
PAD = Signature("F.pad(input, pad, mode='constant', value=None)")
KERNEL_STORAGE = {"kernel": Storage("weight"), "bias": Storage("bias")}


def arrange_window_axes(x: Operand, axes: tuple[str, ...]) -> Operand:
    """Return the input of a windowed op: the channel axis, then the window's axes. All others are folded."""
    channel, batch_axes = split_window_axes(x, axes)
    return x.to_order(channel, *axes, batch_axes=batch_axes)


def symmetric_padding(window: SlidingWindow) -> Any:
    """Return the padding that is equal on both sides of each axis; None if a layer cannot pad like this."""
    if window.pads is None or any(a != b for a, b in window.pads):
        return None
    return collapse_equal(tuple(before for before, _ in window.pads))


def pad_argument(*sides: int) -> Expr:
    """Return the padding for `F.pad`, last dimension first: `[pad] * 4` if all sides have the same expression."""
    if expression_of(sides[0]) is not None and {expression_of(n) for n in sides} == {expression_of(sides[0])}:
        return Infix("*", ListOf((literal_expression(sides[0]),)), Literal(len(sides)))
    return literal_expression(sides)


def pad_window(x: Expr, window: SlidingWindow, mode: str = "zeros", value: float = 0.0) -> Expr:
    """Return the input with the padding that the layer itself cannot do."""
    if window.pads is None:
        keywords: dict[str, Any] = {}
        if any(d != 1 for d in window.dilation):
            keywords["dilation"] = window.dilation
        if value:
            keywords["value"] = value
        return Call(
            Name("pad_same"),
            (x, literal_expression(window.kernel), literal_expression(window.stride)),
            tuple((k, literal_expression(v)) for k, v in keywords.items()),
        )
    sides = pad_argument(*(side for pair in reversed(window.pads) for side in pair))
    if mode != "zeros":
        return PAD(x, sides, mode=mode)
    return PAD(x, sides, value=value) if value else PAD(x, sides)


def kernel_inits(
    op: Conv | ConvTranspose | Linear, x: TensorType, storage: Mapping[str, Storage]
) -> tuple[tuple[str, Init], ...]:
    """Return the initializers that the spec gives, by parameter name, without those of PyTorch itself."""
    fan_in = prod(concrete(n) for n in list(op.weight_specs(x)["kernel"].axes.values())[1:])
    given = {"kernel": op.init, "bias": op.bias_init}
    return tuple(
        (stored.name, init)
        for name, stored in storage.items()
        if (init := given[name]) and not is_default_init(init, fan_in)
    )


def is_default_init(init: Init, fan_in: int) -> bool:
    """Return whether a layer of PyTorch begins so by itself: uniform within 1 / sqrt(inputs of each output)."""
    bounds = [concrete(bound) for bound in init.args]
    return init.kind == "uniform" and len(bounds) == 1 and isclose(bounds[0], fan_in**-0.5, rel_tol=1e-6)


def kernel_storage(op: Conv | ConvTranspose | Linear) -> Mapping[str, Storage]:
    return KERNEL_STORAGE if op.bias else {"kernel": KERNEL_STORAGE["kernel"]}


def kernel_weights(op: Conv | ConvTranspose | Linear, x: TensorType) -> dict[str, Any]:
    """Return the initial values and the storage of a layer's weights, as they are given to its result."""
    storage = kernel_storage(op)
    return {"inits": kernel_inits(op, x, storage), "weights": storage}


@emits(Conv)
def emit_conv(op: Conv, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    layer = CONV[len(window.axes)].construct(
        x[CHANNEL],
        op.channels,
        collapse_equal(window.kernel),
        stride=collapse_equal(window.stride),
        padding=0 if padding is None else padding,
        dilation=collapse_equal(window.dilation),
        groups=op.groups,
        bias=op.bias,
        padding_mode="zeros" if padding is None else op.padding_mode,
    )
    padded = x.expr if padding is not None else pad_window(x.expr, window, op.padding_mode)
    return LoweringResult(Call(OWN_MEMBER, (padded,)), x.layout, layer, **kernel_weights(op, x.type))


@emits(ConvTranspose)
def emit_conv_transpose(op: ConvTranspose, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    layer = CONV_TRANSPOSE[len(window.axes)].construct(
        x[CHANNEL],
        op.channels,
        collapse_equal(window.kernel),
        stride=collapse_equal(window.stride),
        padding=0 if padding is None else padding,
        output_padding=collapse_equal(op.resolve_output_padding(x.type)),
        groups=op.groups,
        bias=op.bias,
        dilation=collapse_equal(window.dilation),
    )
    code = Call(OWN_MEMBER, (x.expr,))
    if padding is None:  # negative padding crops
        sides = tuple(-side for pair in reversed(window.pads or ()) for side in pair)
        code = PAD(code, sides)
    return LoweringResult(code, x.layout, layer, **kernel_weights(op, x.type))


@emits(Linear)
def emit_linear(op: Linear, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    x = x.to_order(*(a for a in x.order if a != op.over), op.over, batch_axes=x.layout.batch_axes)
    layer = LINEAR.construct(x[op.over], op.features, bias=op.bias)
    return layer_result(layer, x, **kernel_weights(op, x.type))

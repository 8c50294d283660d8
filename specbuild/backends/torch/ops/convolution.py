"""Convolutions and linear maps in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.base import Signature, collapse_equal, layer_result
from specbuild.backends.torch.layout import emits
from specbuild.codegen.constructions import SELF, literal_expression
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Call, Expr, Infix, ListOf, Literal, Name
from specbuild.expressions import expression_of
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
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
    """The operand as windows want it: C (or what stands for it), then the window's axes; all others folded into the batch."""
    if not x.layout.batched:
        raise UnsupportedOp(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to_order(channel, *axes, folded=tuple(a for a in others if a != channel))


def symmetric_padding(window: SlidingWindow) -> Any:
    """The padding as one number for each axis; None where the two sides differ."""
    if window.pads is None or any(a != b for a, b in window.pads):
        return None
    return collapse_equal(tuple(before for before, _ in window.pads))


def pad_argument(*sides: int) -> Expr:
    """Padding as F.pad takes it, from the last dimension on; what is told alike for all sides is told once."""
    if expression_of(sides[0]) is not None and {expression_of(n) for n in sides} == {expression_of(sides[0])}:
        return Infix("*", ListOf((literal_expression(sides[0]),)), Literal(len(sides)))
    return literal_expression(sides)


def pad_window(x: Expr, window: SlidingWindow, mode: str = "zeros", value: float = 0.0) -> Expr:
    """The input with padding of its own around it: sides that differ, or TensorFlow's `same`."""
    if window.pads is None:
        more: dict[str, Any] = {} if all(d == 1 for d in window.dilation) else {"dilation": window.dilation}
        more |= {"value": value} if value else {}
        return Call(
            Name("pad_same"),
            (x, literal_expression(window.kernel), literal_expression(window.stride)),
            tuple((k, literal_expression(v)) for k, v in more.items()),
        )
    sides = pad_argument(*(side for pair in reversed(window.pads) for side in pair))
    return PAD(x, sides, **({"mode": mode} if mode != "zeros" else {"value": value} if value else {}))


def kernel_inits(op: Conv | ConvTranspose | Linear) -> tuple[tuple[str, Init], ...]:
    """The weights that begin as the spec says."""
    return tuple(
        (name, init)
        for name, init in (("weight", op.init), ("bias", op.bias_init))
        if init and (name == "weight" or op.bias)
    )


def kernel_storage(op: Conv | ConvTranspose | Linear) -> Mapping[str, Storage]:
    return KERNEL_STORAGE if op.bias else {"kernel": KERNEL_STORAGE["kernel"]}


@emits(Conv)
def emit_conv(op: Conv, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    make = CONV[len(window.axes)].construct(
        here[CHANNEL],
        op.channels,
        collapse_equal(window.kernel),
        stride=collapse_equal(window.stride),
        padding=0 if padding is None else padding,
        dilation=collapse_equal(window.dilation),
        groups=op.groups,
        bias=op.bias,
        padding_mode="zeros" if padding is None else op.padding_mode,
    )
    call = Call(SELF, (here.expr if padding is not None else pad_window(here.expr, window, op.padding_mode),))
    return LoweringResult(call, here.layout, make, inits=kernel_inits(op), weights=kernel_storage(op))


@emits(ConvTranspose)
def emit_conv_transpose(op: ConvTranspose, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    make = CONV_TRANSPOSE[len(window.axes)].construct(
        here[CHANNEL],
        op.channels,
        collapse_equal(window.kernel),
        stride=collapse_equal(window.stride),
        padding=0 if padding is None else padding,
        output_padding=collapse_equal(op.resolve_output_padding(x.type)),
        groups=op.groups,
        bias=op.bias,
        dilation=collapse_equal(window.dilation),
    )
    call = Call(SELF, (here.expr,))
    if padding is None:  # padding less than nothing cuts off
        sides = tuple(-side for pair in reversed(window.pads or ()) for side in pair)
        call = PAD(call, sides)
    return LoweringResult(call, here.layout, make, inits=kernel_inits(op), weights=kernel_storage(op))


@emits(Linear)
def emit_linear(op: Linear, x: Operand, out: TensorType) -> LoweringResult:
    here = x.to_order(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = LINEAR.construct(here[op.over], op.features, bias=op.bias)
    return layer_result(make, here, inits=kernel_inits(op), weights=kernel_storage(op))

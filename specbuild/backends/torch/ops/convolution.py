"""Convolutions and linear maps in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.base import External, layer, scalar
from specbuild.backends.torch.layout import emits
from specbuild.codegen.constructions import SELF, literal
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Call, Expr, Infix, ListOf, Literal, Name
from specbuild.expressions import words
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.ops.types import CHANNEL, Tensor
from specbuild.ops.window import Window

CONV = {
    n: External(
        f"nn.Conv{n}d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros')"
    )
    for n in (1, 2, 3)
}
CONV_TRANSPOSE = {
    n: External(
        f"nn.ConvTranspose{n}d(in_channels, out_channels, kernel_size, "
        "stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1)"
    )
    for n in (1, 2, 3)
}
LINEAR = External("nn.Linear(in_features, out_features, bias=True)")
PAD = External("F.pad(input, pad, mode='constant', value=None)")
KERNEL = {"kernel": Stored("weight"), "bias": Stored("bias")}


def places(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as windows want it: C (or what stands for it), then the window's axes; all others folded into the batch."""
    if not x.layout.batched:
        raise Unsupported(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to(channel, *axes, folded=tuple(a for a in others if a != channel))


def symmetric(window: Window) -> Any:
    """The padding as one number for each axis; None where the two sides differ."""
    if window.pads is None or any(a != b for a, b in window.pads):
        return None
    return scalar(tuple(before for before, _ in window.pads))


def pads(*sides: int) -> Expr:
    """Padding as F.pad takes it, from the last dimension on; what is told alike for all sides is told once."""
    if words(sides[0]) is not None and {words(n) for n in sides} == {words(sides[0])}:
        return Infix("*", ListOf((literal(sides[0]),)), Literal(len(sides)))
    return literal(sides)


def padded(x: Expr, window: Window, mode: str = "zeros", value: float = 0.0) -> Expr:
    """The input with padding of its own around it: sides that differ, or TensorFlow's `same`."""
    if window.pads is None:
        more: dict[str, Any] = {} if all(d == 1 for d in window.dilation) else {"dilation": window.dilation}
        more |= {"value": value} if value else {}
        return Call(
            Name("pad_same"),
            (x, literal(window.kernel), literal(window.stride)),
            tuple((k, literal(v)) for k, v in more.items()),
        )
    sides = pads(*(side for pair in reversed(window.pads) for side in pair))
    return PAD(x, sides, **({"mode": mode} if mode != "zeros" else {"value": value} if value else {}))


def begun(op: Conv | ConvTranspose | Linear) -> tuple[tuple[str, Init], ...]:
    """The weights that begin as the spec says."""
    return tuple(
        (name, init)
        for name, init in (("weight", op.init), ("bias", op.bias_init))
        if init and (name == "weight" or op.bias)
    )


def kept(op: Conv | ConvTranspose | Linear) -> Mapping[str, Stored]:
    return KERNEL if op.bias else {"kernel": KERNEL["kernel"]}


@emits(Conv)
def conv(op: Conv, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    padding = symmetric(window)
    make = CONV[len(window.axes)].made(
        here[CHANNEL],
        op.channels,
        scalar(window.kernel),
        stride=scalar(window.stride),
        padding=0 if padding is None else padding,
        dilation=scalar(window.dilation),
        groups=op.groups,
        bias=op.bias,
        padding_mode="zeros" if padding is None else op.padding_mode,
    )
    call = Call(SELF, (here.expr if padding is not None else padded(here.expr, window, op.padding_mode),))
    return Result(call, here.layout, make, inits=begun(op), weights=kept(op))


@emits(ConvTranspose)
def conv_transpose(op: ConvTranspose, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    padding = symmetric(window)
    make = CONV_TRANSPOSE[len(window.axes)].made(
        here[CHANNEL],
        op.channels,
        scalar(window.kernel),
        stride=scalar(window.stride),
        padding=0 if padding is None else padding,
        output_padding=scalar(op.longer(x.type)),
        groups=op.groups,
        bias=op.bias,
        dilation=scalar(window.dilation),
    )
    call = Call(SELF, (here.expr,))
    if padding is None:  # padding less than nothing cuts off
        sides = tuple(-side for pair in reversed(window.pads or ()) for side in pair)
        call = PAD(call, sides)
    return Result(call, here.layout, make, inits=begun(op), weights=kept(op))


@emits(Linear)
def linear(op: Linear, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = LINEAR.made(here[op.over], op.features, bias=op.bias)
    return layer(make, here, inits=begun(op), weights=kept(op))

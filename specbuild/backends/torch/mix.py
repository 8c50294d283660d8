"""Convolutions and linear maps in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.axes import CHANNEL, Tensor
from specbuild.backends.backend import External, layer, scalar
from specbuild.backends.torch.base import emits
from specbuild.emit.code import Call, Expr, Name
from specbuild.emit.lower import Operand, Result, Stored
from specbuild.emit.made import SELF, literal
from specbuild.ops.mix import Conv, Linear
from specbuild.ops.window import Window

CONV = {
    n: External(
        f"nn.Conv{n}d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros')"
    )
    for n in (1, 2, 3)
}
LINEAR = External("nn.Linear(in_features, out_features, bias=True)")
PAD = External("F.pad(input, pad, mode='constant', value=None)")
KERNEL = {"kernel": Stored("weight"), "bias": Stored("bias")}


def places(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as convolutions want it: C, then the window's axes; all others folded into the batch."""
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    return x.to(CHANNEL, *axes, folded=others)


def symmetric(window: Window) -> Any:
    """The padding as one number for each axis; None where the two sides differ."""
    if window.pads is None or any(a != b for a, b in window.pads):
        return None
    return scalar(tuple(before for before, _ in window.pads))


def padded(x: Expr, window: Window, **more: Any) -> Expr:
    """The input with padding of its own around it: sides that differ, or TensorFlow's `same`."""
    if window.pads is None:
        return Call(
            Name("pad_same"),
            (x, literal(window.kernel), literal(window.stride)),
            () if scalar(window.dilation) == 1 else (("dilation", literal(window.dilation)),),
        )
    sides = [side for pair in reversed(window.pads) for side in pair]
    return PAD(x, tuple(sides), **more)


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
        padding_mode=op.padding_mode,
    )
    inits = tuple((name, init) for name, init in (("weight", op.init), ("bias", op.bias_init)) if init and (name == "weight" or op.bias))
    if padding is not None:
        return layer(make, here, inits=inits, weights=KERNEL)
    mode = {} if op.padding_mode == "zeros" else {"mode": op.padding_mode}
    return Result(Call(SELF, (padded(here.expr, window, **mode),)), here.layout, make, inits=inits, weights=KERNEL)


@emits(Linear)
def linear(op: Linear, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = LINEAR.made(here[op.over], op.features, bias=op.bias)
    inits = tuple((name, init) for name, init in (("weight", op.init), ("bias", op.bias_init)) if init and (name == "weight" or op.bias))
    return layer(make, here, inits=inits, weights=KERNEL)

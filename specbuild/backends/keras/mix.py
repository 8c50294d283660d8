"""Convolutions and linear maps in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.axes import CHANNEL, Tensor
from specbuild.backends.backend import External, fixed, layer, scalar
from specbuild.backends.keras.base import emits
from specbuild.backends.keras.init import initializer
from specbuild.emit.lower import Operand, Result, Stored
from specbuild.ops.mix import Conv, Linear
from specbuild.ops.window import Window
from specbuild.words import plain, words

REST = "groups=1, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros'"
CONV = {n: External(f"layers.Conv{n}D(filters, kernel_size, strides=1, padding='valid', dilation_rate=1, {REST})") for n in (1, 2, 3)}
PADDED_CONV = {
    n: External(f"PaddedConv{n}D(filters, kernel_size, padding, strides=1, mode='zeros', dilation_rate=1, {REST})") for n in (1, 2, 3)
}
DENSE = External("layers.Dense(units, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros')")


def places(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as windows want it: their axes, then C; all others folded into the batch."""
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    return x.to(*axes, CHANNEL, folded=others)


def padding_of(window: Window, same: bool) -> str | None:
    """Keras' own word for the padding, where it means the same; None where it has none."""
    if window.pads is None:
        return "same"
    if all(fixed(n, 0) for pair in window.pads for n in pair):
        return "valid"
    steps = all(fixed(s, 1) for s in window.stride)
    halves = all(
        a == b and 2 * plain(a) == plain(d) * (plain(k) - 1) and same
        for (a, b), k, d in zip(window.pads, window.kernel, window.dilation, strict=True)
    )
    return "same" if steps and halves else None


def sides(window: Window) -> Any:
    """The padding of each axis: one number, or (before, after)."""
    assert window.pads is not None
    return scalar(tuple(a if a == b and words(a) == words(b) else (a, b) for a, b in window.pads))


@emits(Conv)
def conv(op: Conv, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    n = len(window.axes)
    here = places(x, window.axes)
    common: dict[str, Any] = {
        "strides": scalar(window.stride),
        "dilation_rate": scalar(window.dilation),
        "groups": op.groups,
        "use_bias": op.bias,
        "kernel_initializer": initializer(op.init, "glorot_uniform"),
        "bias_initializer": initializer(op.bias_init, "zeros"),
    }
    word = padding_of(window, same=op.padding == "same") if op.padding_mode == "zeros" else None
    kernel = scalar(window.kernel)
    if word is not None:
        make = CONV[n].made(op.channels, kernel, padding=word, **common)
    else:
        make = PADDED_CONV[n].made(op.channels, kernel, sides(window), mode=op.padding_mode, **common)
    held = {"kernel": Stored("kernel", (*range(2, 2 + n), 1, 0)), "bias": Stored("bias")}
    return layer(make, here, weights=held if op.bias else {"kernel": held["kernel"]})


@emits(Linear)
def linear(op: Linear, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = DENSE.made(
        op.features,
        use_bias=op.bias,
        kernel_initializer=initializer(op.init, "glorot_uniform"),
        bias_initializer=initializer(op.bias_init, "zeros"),
    )
    held = {"kernel": Stored("kernel", (1, 0))} | ({"bias": Stored("bias")} if op.bias else {})
    return layer(make, here, weights=held)

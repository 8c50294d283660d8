"""Convolutions and linear maps in Keras."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from specbuild.backends.base import External, fixed, layer, scalar
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import call, emits
from specbuild.codegen.constructions import SELF, Construct, literal
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Call, Expr, Index, Literal, Prefix, Slice
from specbuild.expressions import formula, named, plain, words
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.ops.types import CHANNEL, Tensor
from specbuild.ops.window import Window

WEIGHTS = "use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros'"
SLID = "strides=1, padding='valid', dilation_rate=1"
CONV = {n: External(f"layers.Conv{n}D(filters, kernel_size, {SLID}, groups=1, {WEIGHTS})") for n in (1, 2, 3)}
DEPTHWISE = {
    n: External(
        f"layers.DepthwiseConv{n}D(kernel_size, strides=1, padding='valid', depth_multiplier=1, dilation_rate=1, "
        "use_bias=True, depthwise_initializer='glorot_uniform', bias_initializer='zeros')"
    )
    for n in (1, 2)
}
CONV_TRANSPOSE = {
    n: External(
        f"layers.Conv{n}DTranspose(filters, kernel_size, strides=1, padding='valid', output_padding=None, {WEIGHTS})"
    )
    for n in (1, 2, 3)
}
GROUPED_CONV_TRANSPOSE = External(
    "GroupedConvTranspose(filters, kernel_size, strides=1, padding=0, output_padding=0, dilation_rate=1, groups=1, "
    f"{WEIGHTS})"
)
DENSE = External(
    "layers.Dense(units, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros')"
)


def places(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as windows want it: their axes, then C (or what stands for it); all others folded into the batch."""
    if not x.layout.batched:
        raise Unsupported(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to(*axes, channel, folded=tuple(a for a in others if a != channel))


def padding_of(window: Window, same: bool) -> str | None:
    """Keras' own word for the padding, where it means the same; None where it has none.

    `same` says that the padding was given as half the kernel, and so is that in every instance.
    """
    if window.pads is None:
        return "same"
    if all(fixed(n, 0) for pair in window.pads for n in pair):
        return "valid"
    told = [*window.kernel, *window.dilation, *(n for pair in window.pads for n in pair)]
    halves = all(
        a == b and 2 * plain(a) == plain(d) * (plain(k) - 1)
        for (a, b), k, d in zip(window.pads, window.kernel, window.dilation, strict=True)
    )
    constant = same or not any(words(n) for n in told)
    return "same" if constant and halves and all(fixed(s, 1) for s in window.stride) else None


def sides(window: Window) -> Any:
    """The padding as one number, or as a number or (before, after) for each axis."""
    assert window.pads is not None
    if all(a == b and words(a) == words(b) for a, b in window.pads):
        return scalar(tuple(before for before, _ in window.pads))
    return tuple(a if a == b and words(a) == words(b) else (a, b) for a, b in window.pads)


def padding_itself(make: Construct) -> Construct:
    """The layer of our own that pads as it is told, and then is this layer of Keras."""
    return replace(make, function=make.function.replace("layers.", "Padded"))


def around(x: Operand, window: Window, mode: str) -> Expr:
    """The input with padding around it that is not zeros."""
    assert window.pads is not None
    if mode != "reflect" or len(window.axes) == 3:  # Keras on PyTorch reflects at most two axes
        return call("pad_places", x.expr, window.pads, mode)
    return call("ops.pad", x.expr, ((0, 0), *window.pads, (0, 0)), mode=mode)


def depthwise(op: Conv, x: Operand) -> bool:
    """Whether each channel has a window of its own, here and wherever the block is used, and Keras has a layer for it.

    Its layers have one or two axes, and TensorFlow strides alike along both.
    """
    strides = op.window(x.type).stride
    own = x[CHANNEL] == op.groups and words(x[CHANNEL]) == words(op.groups)
    return own and len(strides) in DEPTHWISE and len({(plain(s), words(s)) for s in strides}) == 1


def multiplier(channels: int, per: int) -> int:
    """How many channels come out for each: the factor itself if the author wrote one."""
    told, one = words(channels), words(per)
    if told == one:
        return plain(channels) // plain(per)
    factor = re.fullmatch(rf"{re.escape(one or '')} \* (\w+)|(\w+) \* {re.escape(one or '')}", told or "")
    if factor is None:
        return formula("channels // per", channels=channels, per=per)  # type: ignore[no-any-return]
    text, count = factor[1] or factor[2], plain(channels) // plain(per)
    return count if text.isdigit() else named(count, text)


@emits(Conv)
def conv(op: Conv, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    n = len(window.axes)
    here = places(x, window.axes)
    zeros = op.padding_mode == "zeros"
    alone = depthwise(op, here)
    causal = n == 1 and op.padding == "causal" and not alone
    word = "causal" if causal else padding_of(window, same=op.padding == "same")
    value = here.expr
    if not zeros and word != "valid":
        value, word = around(here, window, op.padding_mode), "valid"
    # Keras' own layers do not stride over a dilated window; one that does not stride is right at every place
    apart = any(s > 1 for s in window.stride) and any(d > 1 for d in window.dilation)
    if apart and word == "same":
        raise Unsupported(
            "it has no tf_same for windows that are dilated and stride", "give the padding as numbers"
        )
    if n == 3 and word == "same" and strides_over(window):
        raise Unsupported(
            "on TensorFlow it has no tf_same along three axes for a stride longer than the kernel",
            "give the padding as numbers",
        )
    common: dict[str, Any] = {
        "strides": 1 if apart else scalar(window.stride),
        "padding": sides(window) if word is None else word,
        "dilation_rate": scalar(window.dilation),
        "use_bias": op.bias,
        "bias_initializer": initializer(op.bias_init, "zeros"),
    }
    kernel, begin = scalar(window.kernel), initializer(op.init, "glorot_uniform")
    if alone:
        many = multiplier(op.channels, here[CHANNEL])
        make = DEPTHWISE[n].made(kernel, depth_multiplier=many, depthwise_initializer=begin, **common)
        held = Stored(
            "kernel",
            (*range(2, 2 + n), 0, 1),
            (plain(here[CHANNEL]), plain(many), *map(plain, window.kernel)),
        )
    else:
        make = CONV[n].made(op.channels, kernel, groups=op.groups, kernel_initializer=begin, **common)
        held = Stored("kernel", (*range(2, 2 + n), 1, 0))
    make = make if word is not None else padding_itself(make)
    result: Expr = Call(SELF, (value,))
    if apart:
        result = Index(result, (Slice(), *(Slice(step=literal(s)) for s in window.stride)))
    weights = {"kernel": held} | ({"bias": Stored("bias")} if op.bias else {})
    return Result(result, here.layout, make, weights=weights)


@emits(ConvTranspose)
def conv_transpose(op: ConvTranspose, x: Operand, out: Tensor) -> Result:
    window, longer = op.window(x.type), op.longer(x.type)
    here = places(x, window.axes)
    common: dict[str, Any] = {
        "strides": scalar(window.stride),
        "use_bias": op.bias,
        "kernel_initializer": initializer(op.init, "glorot_uniform"),
        "bias_initializer": initializer(op.bias_init, "zeros"),
    }
    n, kernel = len(window.axes), scalar(window.kernel)
    held = {"kernel": Stored("kernel", (*range(2, 2 + n), 1, 0))} | (
        {"bias": Stored("bias")} if op.bias else {}
    )
    if not fixed(op.groups, 1) or not all(fixed(d, 1) for d in window.dilation):
        make = GROUPED_CONV_TRANSPOSE.made(
            op.channels,
            kernel,
            padding=sides(window),
            output_padding=scalar(longer),
            dilation_rate=scalar(window.dilation),
            groups=op.groups,
            **common,
        )
        return layer(make, here, weights=held)
    call: Expr = Call(SELF, (here.expr,))
    short = strides_over(
        window
    )  # Keras' own end is longer then, and TensorFlow has wrong gradients of "same"
    if (op.padding == "tf_same" and not (n == 3 and short)) or multiplies(window, longer):
        return Result(
            call,
            here.layout,
            CONV_TRANSPOSE[n].made(op.channels, kernel, padding="same", **common),
            weights=held,
        )
    if short or not all(fixed(m, 0) for m in longer):
        common["output_padding"] = scalar(longer)
    assert window.pads is not None
    if any(side for pair in window.pads for side in pair):
        call = Index(call, (Slice(), *(cut(before, after) for before, after in window.pads)))
    return Result(call, here.layout, CONV_TRANSPOSE[n].made(op.channels, kernel, **common), weights=held)


def strides_over(window: Window) -> bool:
    """Whether a stride is longer than the kernel, so that places are left out."""
    return any(k < s for k, s in zip(window.kernel, window.stride, strict=True))


def multiplies(window: Window, longer: tuple[int, ...]) -> bool:
    """Whether each size is multiplied by the stride, as with Keras' `same`, wherever the block is used."""
    assert window.pads is not None
    told = [*window.kernel, *window.stride, *longer, *(n for pair in window.pads for n in pair)]
    if any(words(n) for n in told) or any(longer):
        return False
    return all(
        a == b and 2 * a == k - s
        for (a, b), k, s in zip(window.pads, window.kernel, window.stride, strict=True)
    )


def cut(before: int, after: int) -> Slice:
    """What is left of an axis."""
    end: Expr = Prefix("-", literal(after)) if words(after) else Literal(-after)
    return Slice(literal(before) if before else None, end if after else None)


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

"""Convolutions and linear maps in Keras."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from specbuild.backends.base import Signature, collapse_equal, is_fixed, layer_result
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import call_function, emits
from specbuild.codegen.constructions import SELF, Construction, literal_expression
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Call, Expr, Index, Literal, Prefix, Slice
from specbuild.expressions import concrete, expression_of, symbolic, symbolic_formula
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.window import SlidingWindow

WEIGHT_PARAMETERS = "use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros'"
WINDOW_PARAMETERS = "strides=1, padding='valid', dilation_rate=1"
CONV = {
    n: Signature(f"layers.Conv{n}D(filters, kernel_size, {WINDOW_PARAMETERS}, groups=1, {WEIGHT_PARAMETERS})")
    for n in (1, 2, 3)
}
DEPTHWISE = {
    n: Signature(
        f"layers.DepthwiseConv{n}D(kernel_size, strides=1, padding='valid', depth_multiplier=1, dilation_rate=1, "
        "use_bias=True, depthwise_initializer='glorot_uniform', bias_initializer='zeros')"
    )
    for n in (1, 2)
}
CONV_TRANSPOSE = {
    n: Signature(
        f"layers.Conv{n}DTranspose(filters, kernel_size, strides=1, padding='valid', output_padding=None, {WEIGHT_PARAMETERS})"
    )
    for n in (1, 2, 3)
}
GROUPED_CONV_TRANSPOSE = Signature(
    "GroupedConvTranspose(filters, kernel_size, strides=1, padding=0, output_padding=0, dilation_rate=1, groups=1, "
    f"{WEIGHT_PARAMETERS})"
)
DENSE = Signature(
    "layers.Dense(units, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros')"
)


def arrange_window_axes(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as windows want it: their axes, then C (or what stands for it); all others folded into the batch."""
    if not x.layout.batched:
        raise UnsupportedOp(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to_order(*axes, channel, folded=tuple(a for a in others if a != channel))


def padding_keyword(window: SlidingWindow, same: bool) -> str | None:
    """Keras' own word for the padding, where it means the same; None where it has none.

    `same` says that the padding was given as half the kernel, and so is that in every instance.
    """
    if window.pads is None:
        return "same"
    if all(is_fixed(n, 0) for pair in window.pads for n in pair):
        return "valid"
    told = [*window.kernel, *window.dilation, *(n for pair in window.pads for n in pair)]
    halves = all(
        a == b and 2 * concrete(a) == concrete(d) * (concrete(k) - 1)
        for (a, b), k, d in zip(window.pads, window.kernel, window.dilation, strict=True)
    )
    constant = same or not any(expression_of(n) for n in told)
    return "same" if constant and halves and all(is_fixed(s, 1) for s in window.stride) else None


def padding_argument(window: SlidingWindow) -> Any:
    """The padding as one number, or as a number or (before, after) for each axis."""
    assert window.pads is not None
    if all(a == b and expression_of(a) == expression_of(b) for a, b in window.pads):
        return collapse_equal(tuple(before for before, _ in window.pads))
    return tuple(a if a == b and expression_of(a) == expression_of(b) else (a, b) for a, b in window.pads)


def use_padded_layer(make: Construction) -> Construction:
    """The layer of our own that pads as it is told, and then is this layer of Keras."""
    return replace(make, function=make.function.replace("layers.", "Padded"))


def pad_window(x: Operand, window: SlidingWindow, mode: str) -> Expr:
    """The input with padding around it that is not zeros."""
    assert window.pads is not None
    if mode != "reflect" or len(window.axes) == 3:  # Keras on PyTorch reflects at most two axes
        return call_function("pad_places", x.expr, window.pads, mode)
    return call_function("ops.pad", x.expr, ((0, 0), *window.pads, (0, 0)), mode=mode)


def is_depthwise(op: Conv, x: Operand) -> bool:
    """Whether each channel has a window of its own, here and wherever the block is used, and Keras has a layer for it.

    Its layers have one or two axes, and TensorFlow strides alike along both.
    """
    strides = op.sliding_window(x.type).stride
    own = x[CHANNEL] == op.groups and expression_of(x[CHANNEL]) == expression_of(op.groups)
    return own and len(strides) in DEPTHWISE and len({(concrete(s), expression_of(s)) for s in strides}) == 1


def depth_multiplier(channels: int, per: int) -> int:
    """How many channels come out for each: the factor itself if the author wrote one."""
    told, one = expression_of(channels), expression_of(per)
    if told == one:
        return concrete(channels) // concrete(per)
    factor = re.fullmatch(rf"{re.escape(one or '')} \* (\w+)|(\w+) \* {re.escape(one or '')}", told or "")
    if factor is None:
        return symbolic_formula("channels // per", channels=channels, per=per)  # type: ignore[no-any-return]
    text, count = factor[1] or factor[2], concrete(channels) // concrete(per)
    return count if text.isdigit() else symbolic(count, text)


@emits(Conv)
def emit_conv(op: Conv, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    n = len(window.axes)
    here = arrange_window_axes(x, window.axes)
    zeros = op.padding_mode == "zeros"
    alone = is_depthwise(op, here)
    causal = n == 1 and op.padding == "causal" and not alone
    word = "causal" if causal else padding_keyword(window, same=op.padding == "same")
    value = here.expr
    if not zeros and word != "valid":
        value, word = pad_window(here, window, op.padding_mode), "valid"
    # Keras' own layers do not stride over a dilated window; one that does not stride is right at every place
    apart = any(s > 1 for s in window.stride) and any(d > 1 for d in window.dilation)
    if apart and word == "same":
        raise UnsupportedOp(
            "it has no tf_same for windows that are dilated and stride", "give the padding as numbers"
        )
    if n == 3 and word == "same" and has_gaps(window):
        raise UnsupportedOp(
            "on TensorFlow it has no tf_same along three axes for a stride longer than the kernel",
            "give the padding as numbers",
        )
    common: dict[str, Any] = {
        "strides": 1 if apart else collapse_equal(window.stride),
        "padding": padding_argument(window) if word is None else word,
        "dilation_rate": collapse_equal(window.dilation),
        "use_bias": op.bias,
        "bias_initializer": emit_initializer(op.bias_init, "zeros"),
    }
    kernel, begin = collapse_equal(window.kernel), emit_initializer(op.init, "glorot_uniform")
    if alone:
        many = depth_multiplier(op.channels, here[CHANNEL])
        make = DEPTHWISE[n].construct(kernel, depth_multiplier=many, depthwise_initializer=begin, **common)
        held = Storage(
            "kernel",
            (*range(2, 2 + n), 0, 1),
            (concrete(here[CHANNEL]), concrete(many), *map(concrete, window.kernel)),
        )
    else:
        make = CONV[n].construct(op.channels, kernel, groups=op.groups, kernel_initializer=begin, **common)
        held = Storage("kernel", (*range(2, 2 + n), 1, 0))
    make = make if word is not None else use_padded_layer(make)
    result: Expr = Call(SELF, (value,))
    if apart:
        result = Index(result, (Slice(), *(Slice(step=literal_expression(s)) for s in window.stride)))
    weights = {"kernel": held} | ({"bias": Storage("bias")} if op.bias else {})
    return LoweringResult(result, here.layout, make, weights=weights)


@emits(ConvTranspose)
def emit_conv_transpose(op: ConvTranspose, x: Operand, out: TensorType) -> LoweringResult:
    window, longer = op.sliding_window(x.type), op.resolve_output_padding(x.type)
    here = arrange_window_axes(x, window.axes)
    common: dict[str, Any] = {
        "strides": collapse_equal(window.stride),
        "use_bias": op.bias,
        "kernel_initializer": emit_initializer(op.init, "glorot_uniform"),
        "bias_initializer": emit_initializer(op.bias_init, "zeros"),
    }
    n, kernel = len(window.axes), collapse_equal(window.kernel)
    held = {"kernel": Storage("kernel", (*range(2, 2 + n), 1, 0))} | (
        {"bias": Storage("bias")} if op.bias else {}
    )
    if not is_fixed(op.groups, 1) or not all(is_fixed(d, 1) for d in window.dilation):
        make = GROUPED_CONV_TRANSPOSE.construct(
            op.channels,
            kernel,
            padding=padding_argument(window),
            output_padding=collapse_equal(longer),
            dilation_rate=collapse_equal(window.dilation),
            groups=op.groups,
            **common,
        )
        return layer_result(make, here, weights=held)
    call: Expr = Call(SELF, (here.expr,))
    short = has_gaps(window)  # Keras' own end is longer then, and TensorFlow has wrong gradients of "same"
    if (op.padding == "tf_same" and not (n == 3 and short)) or is_scaled_by_stride(window, longer):
        return LoweringResult(
            call,
            here.layout,
            CONV_TRANSPOSE[n].construct(op.channels, kernel, padding="same", **common),
            weights=held,
        )
    if short or not all(is_fixed(m, 0) for m in longer):
        common["output_padding"] = collapse_equal(longer)
    assert window.pads is not None
    if any(side for pair in window.pads for side in pair):
        call = Index(call, (Slice(), *(crop_slice(before, after) for before, after in window.pads)))
    return LoweringResult(
        call, here.layout, CONV_TRANSPOSE[n].construct(op.channels, kernel, **common), weights=held
    )


def has_gaps(window: SlidingWindow) -> bool:
    """Whether a stride is longer than the kernel, so that places are left out."""
    return any(k < s for k, s in zip(window.kernel, window.stride, strict=True))


def is_scaled_by_stride(window: SlidingWindow, longer: tuple[int, ...]) -> bool:
    """Whether each size is multiplied by the stride, as with Keras' `same`, wherever the block is used."""
    assert window.pads is not None
    told = [*window.kernel, *window.stride, *longer, *(n for pair in window.pads for n in pair)]
    if any(expression_of(n) for n in told) or any(longer):
        return False
    return all(
        a == b and 2 * a == k - s
        for (a, b), k, s in zip(window.pads, window.kernel, window.stride, strict=True)
    )


def crop_slice(before: int, after: int) -> Slice:
    """What is left of an axis."""
    end: Expr = Prefix("-", literal_expression(after)) if expression_of(after) else Literal(-after)
    return Slice(literal_expression(before) if before else None, end if after else None)


@emits(Linear)
def emit_linear(op: Linear, x: Operand, out: TensorType) -> LoweringResult:
    here = x.to_order(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = DENSE.construct(
        op.features,
        use_bias=op.bias,
        kernel_initializer=emit_initializer(op.init, "glorot_uniform"),
        bias_initializer=emit_initializer(op.bias_init, "zeros"),
    )
    held = {"kernel": Storage("kernel", (1, 0))} | ({"bias": Storage("bias")} if op.bias else {})
    return layer_result(make, here, weights=held)

"""Convolutions, dense layers and embeddings."""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import one_or_list, per_axis
from specbuild.importing.keras.handlers.registry import (
    append_activation,
    lowers,
    own_weights,
    require_channels_last,
    result_shape,
)
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Published, Unsupported
from specbuild.importing.trace import FunctionCall
from specbuild.importing.windows import Window


def window_options(call: FunctionCall, count: int) -> dict[str, Any]:
    """Return kernel, stride, dilation and padding of a layer, of those that differ from their defaults."""
    s = call.settings
    kernel, stride = per_axis(s["kernel_size"], count), per_axis(s["strides"], count)
    dilation = per_axis(s.get("dilation_rate", 1), count)
    options: dict[str, Any] = {"kernel": one_or_list(kernel, count)}
    if one_or_list(stride, count) != 1:
        options["stride"] = one_or_list(stride, count)
    if one_or_list(dilation, count) != 1:
        options["dilation"] = one_or_list(dilation, count)
    is_whole = all(k == 1 for k in kernel)
    if s["padding"] == "valid" and not is_whole:
        options["padding"] = 0
    elif s["padding"] == "causal":
        options["padding"] = "causal"
    elif s["padding"] == "same" and not is_whole:
        is_even = any(d * (k - 1) % 2 for k, d in zip(kernel, dilation, strict=True))
        if is_even or any(n > 1 for n in stride):
            options["padding"] = "tf_same"
    return options


def add_conv(
    low: Lowerer,
    call: FunctionCall,
    window: Window,
    channels: int,
    options: dict[str, Any],
    weights: dict[str, Published],
    name: str,
) -> NamedValue:
    shape = result_shape(low, call)
    sizes = {"C": channels, **dict(zip(window.axes, shape[1:-1], strict=True))}
    attributes = {"channels": channels, **options, **({} if "bias" in weights else {"bias": False})}
    return low.emit("conv", [window.value], attributes | window.over, sizes=sizes, name=name, weights=weights)


@lowers("Conv1D", "Conv2D", "Conv3D")
def lower_conv_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    s, count = call.settings, int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    options = window_options(call, count)
    if s.get("groups", 1) != 1:
        options["groups"] = s["groups"]
    weights = own_weights(call, kernel="kernel", bias="bias")
    name = low.relative_path(call.path)
    value = add_conv(low, call, window, s["filters"], options, weights, name)
    return append_activation(low, value, s["activation"])


@lowers("DepthwiseConv1D", "DepthwiseConv2D")
def lower_depthwise(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    s, count = call.settings, int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    inputs = window.value.axes["C"]
    options = {**window_options(call, count), "groups": inputs}
    weights = own_weights(call, kernel="kernel", bias="bias")
    name = low.relative_path(call.path)
    value = add_conv(low, call, window, inputs * s["depth_multiplier"], options, weights, name)
    return append_activation(low, value, s["activation"])


@lowers("SeparableConv1D", "SeparableConv2D")
def lower_separable(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    """Add a convolution of each channel by itself, and one between the channels."""
    require_channels_last(call)
    s, count = call.settings, int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    inputs, name = window.value.axes["C"], low.relative_path(call.path)
    options = {**window_options(call, count), "groups": inputs}
    weights = own_weights(call, kernel="depthwise_kernel")
    value = add_conv(low, call, window, inputs * s["depth_multiplier"], options, weights, f"{name}.depthwise")
    weights = own_weights(call, kernel="pointwise_kernel", bias="bias")
    window = Window.find(low, value, count, channels_last=True)
    value = add_conv(low, call, window, s["filters"], {"kernel": 1}, weights, f"{name}.pointwise")
    return append_activation(low, value, s["activation"])


@lowers("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def lower_conv_transpose_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    s, count = call.settings, int(call.function[1 + len("Conv") - 1])
    if s.get("output_padding") not in (None, [None] * count):
        raise Unsupported(f"{call.function} with an output_padding")
    if one_or_list(s.get("dilation_rate", 1), count) != 1:
        raise Unsupported(f"{call.function} with a dilation")
    window = Window.find(low, low.value(x), count, channels_last=True)
    kernel, stride = per_axis(s["kernel_size"], count), per_axis(s["strides"], count)
    options: dict[str, Any] = {"channels": s["filters"], "kernel": one_or_list(kernel, count)}
    if one_or_list(stride, count) != 1:
        options["stride"] = one_or_list(stride, count)
    if s["padding"] == "same" and kernel != stride:
        options["padding"] = "tf_same"
    elif any(k < n for k, n in zip(kernel, stride, strict=True)):
        raise Unsupported(f"{call.function} whose stride is larger than its kernel")
    weights = own_weights(call, kernel="kernel", bias="bias")
    if "bias" not in weights:
        options["bias"] = False
    sizes = {"C": s["filters"], **dict(zip(window.axes, result_shape(low, call)[1:-1], strict=True))}
    value = low.emit(
        "conv_transpose",
        [window.value],
        options | window.over,
        sizes=sizes,
        name=low.relative_path(call.path),
        weights=weights,
    )
    return append_activation(low, value, s["activation"])


@lowers("Dense")
def lower_dense(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, axis = require_axis(low, low.value(x), -1)
    weights = own_weights(call, kernel="kernel", bias="bias")
    attributes: dict[str, Any] = {"features": call.settings["units"]}
    if "bias" not in weights:
        attributes["bias"] = False
    if axis != "C":
        attributes["over"] = axis
    sizes, name = {axis: call.settings["units"]}, low.relative_path(call.path)
    value = low.emit("linear", [value], attributes, sizes=sizes, name=name, weights=weights)
    return append_activation(low, value, call.settings["activation"])


@lowers("Embedding")
def lower_embedding_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, s = low.value(x), call.settings
    if s.get("mask_zero"):
        raise Unsupported("an Embedding that masks zeros", "give the mask as an input of its own")
    return low.emit(
        "embedding",
        [value],
        {"count": s["input_dim"], "features": s["output_dim"]},
        sizes={**value.axes, "C": s["output_dim"]},
        dims=[*value.dims, ("C",)],
        dtype="float",
        name=low.relative_path(call.path),
        weights=own_weights(call, embeddings="embeddings"),
    )

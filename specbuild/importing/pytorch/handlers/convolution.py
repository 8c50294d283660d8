"""Convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.handler_table import one_or_list
from specbuild.importing.layouts import rename_axes, require_axis, require_features
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Published, Step, Unsupported
from specbuild.importing.products import multiply_matrices
from specbuild.importing.pytorch.handlers.indexing import gather_value
from specbuild.importing.pytorch.handlers.registry import held_weights, layer_weights, lowers
from specbuild.importing.trace import FunctionCall, ValueRef
from specbuild.importing.windows import Window, pad_numbers, window_attributes

SLOTS = ("weight", "bias")


@lowers("nn.Conv1d", "nn.Conv2d", "nn.Conv3d")
def lower_conv_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    count, s = int(call.function[-2]), call.settings
    window = Window.find(low, low.value(x), count)
    weights = require_weight(layer_weights(call, *SLOTS))
    options = {
        "channels": s["out_channels"],
        "groups": s["groups"],
        "mode": s["padding_mode"],
        "numbers": (s["kernel_size"], s["stride"], s["padding"], s["dilation"]),
    }
    return add_conv(low, window, low.relative_path(call.path), weights, **options)


@lowers("conv1d", "conv2d", "conv3d")
def lower_conv(
    low: Lowerer,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> NamedValue:
    channels, _, *kernel = low.trace.values[weight.number].shape
    window = Window.find(low, low.value(input), len(kernel))
    numbers = (kernel, stride, padding, dilation)
    if is_computed(low, weight):
        return add_computed_conv(low, window, weight, bias, groups, numbers)
    name, weights = held_weights(low, weight=weight, bias=bias)
    return add_conv(
        low, window, name, weights, channels=channels, groups=groups, mode="zeros", numbers=numbers
    )


def add_conv(
    low: Lowerer,
    window: Window,
    name: str,
    weights: dict[str, Published],
    *,
    channels: int,
    groups: int,
    mode: str,
    numbers: tuple[Any, Any, Any, Any],
) -> NamedValue:
    """Add a convolution; `numbers` are kernel, stride, padding and dilation."""
    attributes = {"channels": channels, **window_attributes(len(window.axes), *numbers)}
    if groups != 1:
        attributes["groups"] = groups
    if "bias" not in weights:
        attributes["bias"] = False
    if mode != "zeros":
        attributes["padding_mode"] = mode
    sizes = {"C": channels, **window.output_sizes(*numbers)}
    return low.emit("conv", [window.value], attributes | window.over, sizes=sizes, name=name, weights=weights)


def is_computed(low: Lowerer, weight: Any) -> bool:
    """Return whether the main weight of a layer is no weight of the model: a value that it computes, or a table."""
    return isinstance(weight, ValueRef) and low.trace.values[weight.number].origin != "weight"


def add_computed_conv(
    low: Lowerer, window: Window, weight: Any, bias: Any, groups: int, numbers: tuple[Any, Any, Any, Any]
) -> NamedValue:
    """Add a convolution whose kernel is a value of the model, such as one that is standardized on the way."""
    shape = low.trace.values[weight.number].shape
    kernel = name_kernel(low, low.value(weight), ("O", "I", *window.axes), shape)
    attributes = window_attributes(len(window.axes), *numbers) | ({"groups": groups} if groups != 1 else {})
    del attributes["kernel"]  # it follows from the value
    pads = pad_numbers(numbers[2], numbers[0], numbers[3], len(window.axes))
    attributes["padding"] = one_or_list(
        pads, len(window.axes)
    )  # always, since a kernel that is a value may vary
    sizes = {"C": kernel.axes["O"], **window.output_sizes(*numbers)}
    inputs = collect_inputs(low, window.value, kernel, bias)
    return low.emit(
        "kernel_conv", list(inputs.values()), attributes | window.over, sizes=sizes, roles=tuple(inputs)
    )


def collect_inputs(low: Lowerer, value: NamedValue, kernel: NamedValue, bias: Any) -> dict[str, NamedValue]:
    """Return the inputs of a layer whose kernel is computed."""
    given = {} if bias is None else {"bias": require_axis(low, low.value(bias), 0, "C")[0]}
    return {"x": value, "weight": kernel, **given}


def repeat_table(low: Lowerer, kernel: NamedValue, names: Sequence[str], shape: Sequence[int]) -> NamedValue:
    """Return a kernel with an axis for each dimension along which a table never changes, such as that of a blur."""
    missing = {name: size for name, size, dim in zip(names, shape, kernel.dims, strict=True) if not dim}
    is_table = isinstance(kernel.source.step, Step) and kernel.source.step.op == "const"
    if not missing or not is_table:
        return kernel
    dims = [dim or (name,) for name, dim in zip(names, kernel.dims, strict=True)]
    return low.emit("expand", [kernel], {"axes": missing}, sizes={**missing, **kernel.axes}, dims=dims)


def name_kernel(low: Lowerer, kernel: NamedValue, names: Sequence[str], shape: Sequence[int]) -> NamedValue:
    """Give the axes of a computed kernel their names. Raises Unsupported SB966 unless its dimensions are axes of their own."""
    kernel = repeat_table(low, low.resolve(kernel), names, shape)
    single = [axis for dim in kernel.dims for axis in dim if axis != BATCH and kernel.axes[axis] == 1]
    chosen, left = [], list(single)
    for dim in kernel.dims:
        large = [axis for axis in dim if axis not in single]
        chosen += large or left[:1]
        left = left if large else left[1:]
    if BATCH in chosen or len(chosen) != len(names) or left:
        raise Unsupported("a layer whose weights differ between samples", code="SB966")
    renamed = {}
    for axis, name in zip(chosen, names, strict=True):
        if low.is_free(axis):
            low.names.bind(axis, name)
        elif axis != name:
            renamed[axis] = name
    if renamed:
        kernel = rename_axes(low, kernel, renamed)
    return low.resolve(kernel.with_dims([(name,) for name in names]))


@lowers("nn.ConvTranspose1d", "nn.ConvTranspose2d", "nn.ConvTranspose3d")
def lower_conv_transpose(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    count, s = int(call.function[-2]), call.settings
    window = Window.find(low, low.value(x), count)
    weights = require_weight(layer_weights(call, *SLOTS))
    attributes = {"channels": s["out_channels"], "kernel": one_or_list(s["kernel_size"], count)}
    for key, name, default in (
        ("stride", "stride", 1),
        ("padding", "padding", 0),
        ("output_padding", "output_padding", 0),
        ("dilation", "dilation", 1),
        ("groups", "groups", 1),
    ):
        if (number := one_or_list(s[key], count)) != default:
            attributes[name] = number
    if "bias" not in weights:
        attributes["bias"] = False
    sizes = {"C": s["out_channels"]}
    for i, axis in enumerate(window.axes):
        kernel, stride, padding, extra, dilation = (
            s[key][i] for key in ("kernel_size", "stride", "padding", "output_padding", "dilation")
        )
        sizes[axis] = (
            (window.value.axes[axis] - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
        )
    return low.emit(
        "conv_transpose",
        [window.value],
        attributes | window.over,
        sizes=sizes,
        name=low.relative_path(call.path),
        weights=weights,
    )


@lowers("nn.Linear", "nn.NonDynamicallyQuantizableLinear")
def lower_linear_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    held = call.settings["weights"]
    kernel = low.find_shared_kernel(held["weight"]) if "weight" in held else None
    if kernel is not None:  # that of an embedding, as in language models
        product = multiply_matrices(low, low.value(x), kernel.with_dims(kernel.dims[::-1]))
        if "bias" not in held:
            return product
        bias = low.add_weight(held["bias"], [call.settings["out_features"]], True)
        return combine_values(low, "add", product, bias)
    weights = require_weight(layer_weights(call, *SLOTS))
    return add_linear(low, x, call.settings["out_features"], low.relative_path(call.path), weights)


@lowers("linear")
def lower_linear(low: Lowerer, input: Any, weight: Any, bias: Any = None) -> NamedValue:
    has_own_bias = bias is None or (
        isinstance(bias, ValueRef) and low.trace.values[bias.number].origin == "weight"
    )
    if is_computed(low, weight):
        shape = low.trace.values[weight.number].shape
        kernel = name_kernel(low, low.value(weight), ("O", "I"), shape)
        value, axis = require_axis(low, low.value(input), -1)
        options = {} if axis == "C" else {"over": axis}
        inputs = collect_inputs(low, value, kernel, bias)
        sizes = {axis: kernel.axes["O"]}
        return low.emit("kernel_linear", list(inputs.values()), options, sizes=sizes, roles=tuple(inputs))
    name, weights = held_weights(low, weight=weight, bias=bias if has_own_bias else None)
    features = low.trace.values[weight.number].shape[0]
    result = add_linear(low, input, features, name, weights)
    return result if has_own_bias else combine_values(low, "add", result, bias)


def add_linear(low: Lowerer, x: Any, features: int, name: str, weights: dict[str, Published]) -> NamedValue:
    value, axis = require_features(low, low.value(x), -1)
    attributes: dict[str, Any] = {"features": features}
    if "bias" not in weights:
        attributes["bias"] = False
    if axis != "C":
        attributes["over"] = axis
    return low.emit("linear", [value], attributes, sizes={axis: features}, name=name, weights=weights)


def require_weight(weights: dict[str, Published]) -> dict[str, Published]:
    """Return the weights of a layer. Raises Unsupported SB966 if its main one is computed."""
    if "weight" not in weights:
        raise Unsupported(
            "a layer whose weights are computed", "fold what computes them into the weights first", "SB966"
        )
    return weights


@lowers("nn.Embedding")
def lower_embedding(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, s = low.value(x), call.settings
    width = s["embedding_dim"]
    kernel = low.find_shared_kernel(s["weights"]["weight"]) if "weight" in s["weights"] else None
    if kernel is not None:  # used by another layer, too
        kernel, _ = require_axis(low, kernel, 0, "V")
        kernel, _ = require_axis(low, kernel, 1, "C")
        found = gather_value(low, kernel, [x])
        return found if s.get("padding_idx") is None else hide_padding(low, value, found, s["padding_idx"])
    found = low.emit(
        "embedding",
        [value],
        {"count": s["num_embeddings"], "features": width},
        sizes={**value.axes, "C": width},
        dims=[*value.dims, ("C",)],
        dtype="float",
        name=low.relative_path(call.path),
        weights=require_weight(layer_weights(call, "weight")),
    )
    return found if s.get("padding_idx") is None else hide_padding(low, value, found, s["padding_idx"])


def hide_padding(low: Lowerer, index: NamedValue, found: NamedValue, padding: int) -> NamedValue:
    """Return the vectors of an embedding of which that of the padding is not trained."""
    is_word = low.emit(
        "compare", [index], {"test": "not_equal", "value": padding}, dtype="bool", hint="words"
    )
    fixed = low.emit("stop_gradient", [found], hint="fixed")
    return low.emit("where", [found, is_word, fixed], roles=("then", "condition", "otherwise"))

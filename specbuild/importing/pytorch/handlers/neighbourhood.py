"""Neighbours in a map: padding, sliding windows, and channels that become positions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from specbuild.importing.derived_paddings import has_zeros_of_sizes
from specbuild.importing.handler_table import one_or_list, per_axis
from specbuild.importing.layouts import require_axis, reshape_value
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.indexing import slice_dim
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import FunctionCall
from specbuild.importing.windows import Window

ELEMENTS = "K"  # the axis of the elements of a window


@lowers("pad")
def lower_pad(
    low: Lowerer, input: Any, pad: Any, mode: str = "constant", value: float | None = None
) -> NamedValue:
    x, padding = low.value(input), {}
    pairs = [(i, pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)]
    last = [dim[0] for dim in x.dims[-2:] if len(dim) == 1]
    if mode == "constant" and not value and has_zeros_of_sizes(last, pad):
        padding = {last[-1 - i]: [before, after] for i, before, after in reversed(pairs)}
        sizes = {axis: x.axes[axis] + sum(sides) for axis, sides in padding.items()}
        return low.emit("pad", [x], {"padding": padding}, sizes=sizes)
    for i, before, after in reversed(pairs):
        if before < 0 or after < 0:  # it cuts off
            dim = len(x.dims) - 1 - i
            stop = x.dim_size(dim, low.batch) + min(after, 0)
            x = slice_dim(low, x, dim, slice(max(-before, 0), stop))
            before, after = max(before, 0), max(after, 0)
        if before or after:
            x, axis = require_axis(low, x, -1 - i)
            padding[axis] = before if before == after else [before, after]
    if not padding:
        return x
    sizes = {a: x.axes[a] + sum(per_axis(p, 2)) for a, p in padding.items()}
    attributes: dict[str, Any] = {"padding": padding} | ({} if mode == "constant" else {"mode": mode})
    return low.emit("pad", [x], attributes | ({"value": value} if value else {}), sizes=sizes)


@lowers(
    *(
        f"nn.{kind}Pad{n}d"
        for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    )
)
def lower_pad_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    kind = call.function.removeprefix("nn.")[:-5]
    mode = {"Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}.get(kind, "constant")
    return lower_pad(low, x, call.settings["padding"], mode, call.settings.get("value"))


@lowers("pixel_shuffle")
def lower_pixel_shuffle(low: Lowerer, input: Any, upscale_factor: int) -> NamedValue:
    value, factor = low.value(input), upscale_factor
    sizes = {"C": value.axes["C"] // factor**2, "H": value.axes["H"] * factor, "W": value.axes["W"] * factor}
    return low.emit("pixel_shuffle", [value], {"factor": factor}, sizes=sizes)


@lowers("nn.PixelShuffle")
def lower_pixel_shuffle_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_pixel_shuffle(low, x, call.settings["upscale_factor"])


@lowers("pixel_unshuffle")
def lower_pixel_unshuffle(low: Lowerer, input: Any, downscale_factor: int) -> NamedValue:
    value, factor = low.value(input), downscale_factor
    sizes = {"C": value.axes["C"] * factor**2, "H": value.axes["H"] // factor, "W": value.axes["W"] // factor}
    return low.emit("pixel_unshuffle", [value], {"factor": factor}, sizes=sizes)


@lowers("nn.PixelUnshuffle")
def lower_pixel_unshuffle_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_pixel_unshuffle(low, x, call.settings["downscale_factor"])


@lowers("channel_shuffle")
def lower_channel_shuffle(low: Lowerer, input: Any, groups: int) -> NamedValue:
    value = low.value(input)
    shape = [value.dim_size(i, low.batch) for i in range(len(value.dims))]
    cut = reshape_value(low, value, [shape[0], groups, shape[1] // groups, *shape[2:]])
    turned = cut.with_dims([cut.dims[0], cut.dims[2], cut.dims[1], *cut.dims[3:]])
    return reshape_value(low, turned, shape)


@lowers("nn.ChannelShuffle")
def lower_channel_shuffle_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_channel_shuffle(low, x, call.settings["groups"])


# ------------------------------------------------------------------------------------------ sliding windows


def sliding_attributes(kernel: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    """Return the attributes of `unfold` and `fold` that are not as by default, over two axes."""
    attributes = {"kernel": one_or_list(kernel, 2)}
    for name, number, default in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if one_or_list(number, 2) != default:
            attributes[name] = one_or_list(number, 2)
    return attributes


def insert_elements(axes: Mapping[str, int], axis: str, count: int) -> dict[str, int]:
    """Return axes with that of the elements of a window where `unfold` puts it: after the channels, or first."""
    sizes = list(axes.items())
    sizes.insert(list(axes).index("C") + 1 if "C" in axes else 0, (axis, count))
    return dict(sizes)


def unfold_map(
    low: Lowerer, input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> NamedValue:
    """Lower `torch.nn.functional.unfold`: channels and elements of the window in one dimension, places in another."""
    window = Window.find(low, low.value(input), 2)
    value, axis = window.value, low.unused_axis(ELEMENTS, window.value)
    sizes = insert_elements(value.axes, axis, math.prod(per_axis(kernel_size, 2)))
    sizes |= window.output_sizes(kernel_size, stride, padding, dilation)
    attributes = sliding_attributes(kernel_size, stride, padding, dilation) | {"into": axis} | window.over
    dims = [value.dims[0], ("C", axis), window.axes]
    return low.emit("unfold", [value], attributes, sizes=sizes, dims=dims, hint="windows")


@lowers("unfold")
def lower_unfold(
    low: Lowerer,
    input: Any,
    *numbers: Any,
    dimension: Any = None,
    size: Any = None,
    step: Any = None,
    **named: Any,
) -> NamedValue:
    """Lower `torch.Tensor.unfold(dimension, size, step)`, or the function of that name for maps."""
    if named or (dimension is None and len(numbers) != 3):
        return unfold_map(low, input, *numbers, **named)
    given = iter(numbers)
    dim, length, stride = (next(given) if n is None else n for n in (dimension, size, step))
    value, over = require_axis(low, low.value(input), dim)
    axis = low.unused_axis(ELEMENTS, value)
    sizes = insert_elements(value.axes, axis, length) | {over: (value.axes[over] - length) // stride + 1}
    attributes = {"over": [over], "kernel": length, "into": axis} | (
        {} if stride == 1 else {"stride": stride}
    )
    dims = [*value.dims, (axis,)]
    return low.emit("unfold", [value], attributes, sizes=sizes, dims=dims, hint="windows")


@lowers("nn.Unfold")
def lower_unfold_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    return unfold_map(low, x, s["kernel_size"], s["dilation"], s["padding"], s["stride"])


@lowers("fold")
def lower_fold(
    low: Lowerer,
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> NamedValue:
    """Lower `torch.nn.functional.fold`, the sum of windows that overlap."""
    value = low.value(input)
    if len(value.dims) != 3:
        raise Unsupported("fold of a single sample")
    size, points = per_axis(output_size, 2), math.prod(per_axis(kernel_size, 2))
    numbers = zip(size, *(per_axis(n, 2) for n in (kernel_size, dilation, padding, stride)), strict=True)
    counts = [(n + 2 * pad - gap * (k - 1) - 1) // step + 1 for n, k, gap, pad, step in numbers]
    channels = value.dim_size(1, low.batch) // points
    value = reshape_value(low, value, [value.dim_size(0, low.batch), channels, points, *counts])
    value, _ = require_axis(low, value, 2)
    samples, features, elements, *places = value.dims
    window = Window.find(low, value.with_dims([samples, elements, features, *places]), 2)
    [axis] = window.value.dims[1]
    attributes = sliding_attributes(kernel_size, stride, padding, dilation) | {"axis": axis}
    smallest = [
        (count - 1) * step + gap * (k - 1) + 1 - 2 * pad
        for count, k, gap, pad, step in zip(
            counts, *(per_axis(n, 2) for n in (kernel_size, dilation, padding, stride)), strict=True
        )
    ]
    if smallest != size:
        attributes["size"] = one_or_list(size, 2)
    sizes = {a: n for a, n in window.value.axes.items() if a != axis} | dict(
        zip(window.axes, size, strict=True)
    )
    dims = [window.value.dims[0], *window.value.dims[2:]]
    return low.emit("fold", [window.value], attributes | window.over, sizes=sizes, dims=dims)


@lowers("nn.Fold")
def lower_fold_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    return lower_fold(low, x, s["output_size"], s["kernel_size"], s["dilation"], s["padding"], s["stride"])

"""Pooling over windows and over everything, padding, cropping, and resizing."""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import one_or_list, per_axis
from specbuild.importing.keras.handlers.registry import lowers, require_channels_last, result_shape
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.reducing import reduce_value
from specbuild.importing.trace import FunctionCall
from specbuild.importing.windows import Window


@lowers(*(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)))
def lower_pool_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    s, count = call.settings, int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    kernel = per_axis(s["pool_size"], count)
    stride = per_axis(s["strides"] or s["pool_size"], count)
    attributes: dict[str, Any] = {"kernel": one_or_list(kernel, count)}
    if stride != kernel:
        attributes["stride"] = one_or_list(stride, count)
    op = "max_pool" if call.function.startswith("Max") else "avg_pool"
    if s["padding"] == "same" and any(k > 1 for k in kernel):
        attributes["padding"] = "tf_same"
        if op == "avg_pool":
            attributes["count_include_pad"] = False
    sizes = dict(zip(window.axes, result_shape(low, call)[1:-1], strict=True))
    name = low.relative_path(call.path)
    return low.emit(op, [window.value], attributes | window.over, sizes=sizes, name=name)


@lowers(*(f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)))
def lower_global_pool(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    op = "max" if call.function.startswith("GlobalMax") else "mean"
    value = low.value(x)
    dims = list(range(1, len(value.dims) - 1))
    return reduce_value(low, op, value, dims, bool(call.settings.get("keepdims")))


def list_sides(given: Any, count: int) -> list[list[int]]:
    """Return what is added or cut before and after, for each of the dimensions of a map."""
    if not isinstance(given, list):
        return [[given, given]] * count
    if count == 1 and len(given) == 2 and not isinstance(given[0], list):
        return [given]
    return [side if isinstance(side, list) else [side, side] for side in given]


@lowers("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def lower_padding_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    count = int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    sides = dict(zip(window.axes, list_sides(call.settings["padding"], count), strict=True))
    padding = {a: s[0] if s[0] == s[1] else s for a, s in sides.items() if any(s)}
    sizes = {a: window.value.axes[a] + sum(s) for a, s in sides.items()}
    return low.emit("pad", [window.value], {"padding": padding}, sizes=sizes)


@lowers("Cropping1D", "Cropping2D", "Cropping3D")
def lower_cropping(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    count = int(call.function[-2])
    window = Window.find(low, low.value(x), count, channels_last=True)
    value = window.value
    for axis, (before, after) in zip(window.axes, list_sides(call.settings["cropping"], count), strict=True):
        if not before and not after:
            continue
        attributes = {"over": axis, "start": before} | ({"stop": -after} if after else {})
        sizes = {axis: value.axes[axis] - before - after}
        value = low.emit("slice", [value], attributes, sizes=sizes)
    return value


@lowers("UpSampling1D", "UpSampling2D", "UpSampling3D")
def lower_upsampling(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    require_channels_last(call)
    s, count = call.settings, int(call.function[-2])
    mode = s.get("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise Unsupported(f"UpSampling with {mode}")
    window = Window.find(low, low.value(x), count, channels_last=True)
    factors = per_axis(s["size"], count)
    attributes: dict[str, Any] = {"scale": one_or_list(factors, count)}
    if mode != "nearest":
        attributes["mode"] = mode
    sizes = {a: window.value.axes[a] * n for a, n in zip(window.axes, factors, strict=True)}
    return low.emit("resize", [window.value], attributes | window.over, sizes=sizes)


@lowers("Resizing")
def lower_resizing(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    mode = s["interpolation"]
    if mode != "bilinear" or any(
        s.get(k) for k in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    ):
        raise Unsupported(f"Resizing with {mode}, or that keeps the aspect ratio")
    window = Window.find(low, low.value(x), 2, channels_last=True)
    sizes = dict(zip(window.axes, (s["height"], s["width"]), strict=True))
    return low.emit(
        "resize", [window.value], {"size": list(sizes.values()), "mode": mode} | window.over, sizes=sizes
    )


@lowers("RepeatVector")
def lower_repeat_vector(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, _ = require_axis(low, low.value(x), -1)
    axis, count = low.unused_axis("T", value), call.settings["n"]
    dims = [value.dims[0], (axis,), *value.dims[1:]]
    return low.emit("expand", [value], {"axes": {axis: count}}, sizes={axis: count, **value.axes}, dims=dims)

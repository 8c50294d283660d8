"""Pooling over windows, pooling to a fixed size, and resizing."""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import one_or_list, per_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BlockInput, NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import FunctionCall
from specbuild.importing.windows import Window

MODES = {"nearest-exact": "nearest_exact", "linear": "bilinear", "trilinear": "bilinear"}


def add_pool(
    low: Lowerer, op: str, x: Any, count: int, numbers: tuple[Any, Any, Any, Any], **flags: Any
) -> NamedValue:
    """Add pooling over a window; `numbers` are kernel, stride, padding and dilation."""
    kernel, stride, padding, dilation = numbers
    stride = kernel if stride in (None, [], ()) else stride
    window = Window.find(low, low.value(x), count)
    name = flags.pop("name", "")
    attributes = {"kernel": one_or_list(kernel, count)}
    if per_axis(stride, count) != per_axis(kernel, count):
        attributes["stride"] = one_or_list(stride, count)
    if one_or_list(padding, count) != 0:
        attributes["padding"] = one_or_list(padding, count)
    else:
        flags.pop("count_include_pad", None)
    if one_or_list(dilation, count) != 1:
        attributes["dilation"] = one_or_list(dilation, count)
    sizes = window.output_sizes(kernel, stride, padding, dilation, bool(flags.get("ceil_mode")))
    return low.emit(op, [window.value], {**attributes, **flags, **window.over}, sizes=sizes, name=name)


@lowers("nn.MaxPool1d", "nn.MaxPool2d", "nn.MaxPool3d")
def lower_max_pool_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    numbers = (s["kernel_size"], s["stride"], s["padding"], s["dilation"])
    flags = {"ceil_mode": True} if s["ceil_mode"] else {}
    return add_pool(
        low, "max_pool", x, int(call.function[-2]), numbers, name=low.relative_path(call.path), **flags
    )


@lowers("max_pool2d", "max_pool2d_with_indices", "boolean_dispatch")
def lower_max_pool(
    low: Lowerer,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> NamedValue:
    if return_indices:
        raise Unsupported("max_pool2d that returns indices")
    flags = {"ceil_mode": True} if ceil_mode else {}
    return add_pool(low, "max_pool", input, 2, (kernel_size, stride, padding, dilation), **flags)


@lowers("nn.AvgPool1d", "nn.AvgPool2d", "nn.AvgPool3d")
def lower_avg_pool_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    if s.get("divisor_override"):
        raise Unsupported("an average with another divisor")
    return add_pool(
        low,
        "avg_pool",
        x,
        int(call.function[-2]),
        (s["kernel_size"], s["stride"], s["padding"], 1),
        name=low.relative_path(call.path),
        **average_flags(s["ceil_mode"], s["count_include_pad"]),
    )


@lowers("avg_pool2d")
def lower_avg_pool(
    low: Lowerer,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> NamedValue:
    if divisor_override:
        raise Unsupported("an average with another divisor")
    flags = average_flags(ceil_mode, count_include_pad)
    return add_pool(low, "avg_pool", input, 2, (kernel_size, stride, padding, 1), **flags)


def average_flags(ceil_mode: bool, count_include_pad: bool) -> dict[str, bool]:
    flags = {"ceil_mode": True} if ceil_mode else {}
    return flags | ({} if count_include_pad else {"count_include_pad": False})


def add_adaptive_pool(low: Lowerer, op: str, x: Any, size: Any, count: int, name: str = "") -> NamedValue:
    """Add pooling to a fixed size; to a single position, it is a mean or a maximum."""
    window = Window.find(low, low.value(x), count)
    sizes = {
        axis: window.value.axes[axis] if n is None else n
        for axis, n in zip(window.axes, per_axis(size, count), strict=True)
    }
    if set(sizes.values()) == {1}:
        reduction = "mean" if op == "adaptive_avg_pool" else "max"
        attributes: dict[str, Any] = {"over": list(window.axes), "keep": True}
        return low.emit(reduction, [window.value], attributes, sizes=sizes, name=name)
    attributes = {"size": one_or_list(list(sizes.values()), count), **window.over}
    return low.emit(op, [window.value], attributes, sizes=sizes, name=name)


@lowers(*(f"nn.Adaptive{kind}Pool{n}d" for kind in ("Avg", "Max") for n in (1, 2, 3)))
def lower_adaptive_pool_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    op = "adaptive_avg_pool" if "Avg" in call.function else "adaptive_max_pool"
    size, count = call.settings["output_size"], int(call.function[-2])
    return add_adaptive_pool(low, op, x, size, count, low.relative_path(call.path))


@lowers("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def lower_adaptive_avg_pool(low: Lowerer, input: Any, output_size: Any) -> NamedValue:
    count = len(low.value(input).dims) - 2
    return add_adaptive_pool(low, "adaptive_avg_pool", input, output_size, count)


@lowers("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def lower_adaptive_max_pool(
    low: Lowerer, input: Any, output_size: Any, return_indices: bool = False
) -> NamedValue:
    count = len(low.value(input).dims) - 2
    return add_adaptive_pool(low, "adaptive_max_pool", input, output_size, count)


@lowers("interpolate", "upsample")
def lower_interpolate(
    low: Lowerer,
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> NamedValue:
    if antialias:
        raise Unsupported("interpolate with antialias")
    value = low.value(input)
    window = Window.find(low, value, len(value.dims) - 2)
    count = len(window.axes)
    attributes: dict[str, Any] = {}
    like = None
    if size is not None:
        numbers = per_axis(size, count)
        like = find_like(low, window, numbers)
        if like is None:
            attributes["size"] = one_or_list(numbers, count)
    else:
        scales = [int(s) if float(s).is_integer() else s for s in per_axis(scale_factor, count)]
        attributes["scale"] = one_or_list(scales, count)
        numbers = [int(window.value.axes[a] * s) for a, s in zip(window.axes, scales, strict=True)]
    if mode != "nearest":
        attributes["mode"] = MODES.get(mode, mode)
    if align_corners:
        attributes["align_corners"] = True
    sizes = dict(zip(window.axes, numbers, strict=True))
    sources = [window.value, *([like] if like is not None else [])]
    roles = ("x", "like") if like is not None else ()
    return low.emit("resize", sources, attributes | window.over, sizes=sizes, roles=roles)


def find_like(low: Lowerer, window: Window, numbers: list[Any]) -> NamedValue | None:
    """Return a value of the block with the size that a map is brought to: an input, or what was computed last."""
    wanted = dict(zip(window.axes, map(int, numbers), strict=True))
    if all(n == 1 for n in wanted.values()):
        return None
    found = [low.resolve(value) for value in low.values.values()]
    found = [x for x in found if wanted.items() <= x.axes.items() and x.dtype == "float"]
    found = [x for x in found if isinstance(x.source.step, BlockInput) or x.source.step in low.steps]
    inputs = [x for x in found if isinstance(x.source.step, BlockInput)]
    return inputs[0] if inputs else found[-1] if found else None


@lowers("nn.Upsample", "nn.UpsamplingBilinear2d", "nn.UpsamplingNearest2d")
def lower_upsample(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    return lower_interpolate(low, x, s["size"], s["scale_factor"], s["mode"], s["align_corners"])

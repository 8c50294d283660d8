"""Normalization and dropout."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.handler_table import per_axis, unusual_values
from specbuild.importing.layouts import drop_axes, require_axis, require_features
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Published, Unsupported
from specbuild.importing.pytorch.handlers.registry import held_weights, layer_weights, lowers
from specbuild.importing.reducing import reduce_value
from specbuild.importing.trace import FunctionCall

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
DIGITS = 12  # of a momentum: 1 - 0.9997 is 0.0003
BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.1, "affine": True, "over": "C"}


@lowers("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d")
def lower_batch_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    weights = layer_weights(call, "weight", "bias", *STATISTICS)
    return add_batch_norm(low, x, s["eps"], s["momentum"], low.relative_path(call.path), weights)


# As many parameters as in torch.nn.functional.
@lowers("batch_norm")
def lower_batch_norm(
    low: Lowerer,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> NamedValue:
    if running_mean is None and training and not any(BATCH in dim for dim in low.value(input).dims):
        return standardize_rows(low, low.value(input), weight, bias, eps)
    name, weights = held_weights(
        low, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if "running_mean" in weights:
        counter = weights["running_mean"].name.replace("running_mean", "num_batches_tracked")
        if counter in low.trace.weights:
            weights["num_batches_tracked"] = Published(counter)
    return add_batch_norm(low, input, eps, momentum, name, weights)


def add_batch_norm(
    low: Lowerer, x: Any, epsilon: float, momentum: float | None, name: str, weights: dict[str, Published]
) -> NamedValue:
    if "running_mean" not in weights:
        raise Unsupported("batch norm without running statistics")
    if momentum is None:
        raise Unsupported("batch norm whose statistics are a cumulative average")
    value, axis = require_axis(low, low.value(x), 1)
    momentum = round(momentum, DIGITS)
    attributes = unusual_values(
        BATCH_NORM, epsilon=epsilon, momentum=momentum, affine="weight" in weights, over=axis
    )
    return low.emit("batch_norm", [value], attributes, name=name, weights=weights)


def standardize_rows(low: Lowerer, value: NamedValue, weight: Any, bias: Any, epsilon: float) -> NamedValue:
    """Return a kernel whose rows have mean 0 and variance 1, which is written as a batch norm of one sample."""
    value = low.resolve(value)
    over = [axis for axis in value.axes if axis not in value.dims[1]]
    result = low.emit("layer_norm", [value], {"over": over, "epsilon": epsilon, "affine": False})
    for op, factor in (("multiply", weight), ("add", bias)):
        if factor is not None:
            own = low.value(factor)
            own = drop_axes(low, own, tuple(axis for axis, size in own.axes.items() if size == 1))
            result = combine_values(low, op, result, own.with_dims([(), *own.dims, ()]))
    return result


@lowers("nn.LayerNorm")
def lower_layer_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s, weights = call.settings, layer_weights(call, "weight", "bias")
    count = len(s["normalized_shape"])
    return add_layer_norm(low, x, count, s["eps"], low.relative_path(call.path), weights)


@lowers("layer_norm")
def lower_layer_norm(
    low: Lowerer, input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> NamedValue:
    name, weights = held_weights(low, weight=weight, bias=bias)
    return add_layer_norm(low, input, len(normalized_shape), eps, name, weights)


def add_layer_norm(
    low: Lowerer, x: Any, count: int, epsilon: float, name: str, weights: dict[str, Published]
) -> NamedValue:
    value = low.value(x)
    for dim in range(-count, 0):
        value, _ = require_features(low, value, dim) if count == 1 else require_axis(low, value, dim)
    over = [value.dims[dim][0] for dim in range(-count, 0)]
    attributes: dict[str, Any] = unusual_values({"over": ["C"], "epsilon": 1e-5}, over=over, epsilon=epsilon)
    if not weights:
        attributes["affine"] = False
    elif "bias" not in weights:
        attributes["bias"] = False
    return low.emit("layer_norm", [value], attributes, name=name, weights=weights)


@lowers("nn.RMSNorm")
def lower_rms_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s, weights = call.settings, layer_weights(call, "weight")
    count = len(per_axis(s["normalized_shape"], 1))
    return add_rms_norm(low, x, count, s["eps"], low.relative_path(call.path), weights)


@lowers("rms_norm")
def lower_rms_norm(
    low: Lowerer, input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> NamedValue:
    name, weights = held_weights(low, weight=weight)
    return add_rms_norm(low, input, len(normalized_shape), eps, name, weights)


def add_rms_norm(
    low: Lowerer, x: Any, count: int, epsilon: float | None, name: str, weights: dict[str, Published]
) -> NamedValue:
    value, over = low.value(x), []
    if epsilon is None:
        raise Unsupported("RMSNorm without an eps of its own", "give it one: eps=1e-6")
    for dim in range(-count, 0):
        value, axis = require_features(low, value, dim) if count == 1 else require_axis(low, value, dim)
        over.append(axis)
    attributes: dict[str, Any] = unusual_values({"epsilon": 1e-6}, epsilon=epsilon)
    attributes |= ({} if over == ["C"] else {"over": over}) | ({} if weights else {"affine": False})
    return low.emit("rms_norm", [value], attributes, name=name, weights=weights)


@lowers("nn.GroupNorm")
def lower_group_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s, weights = call.settings, layer_weights(call, "weight", "bias")
    return add_group_norm(low, x, s["num_groups"], s["eps"], low.relative_path(call.path), weights)


@lowers("group_norm")
def lower_group_norm(
    low: Lowerer, input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> NamedValue:
    name, weights = held_weights(low, weight=weight, bias=bias)
    return add_group_norm(low, input, num_groups, eps, name, weights)


def add_group_norm(
    low: Lowerer, x: Any, groups: int, epsilon: float, name: str, weights: dict[str, Published]
) -> NamedValue:
    value, _ = require_axis(low, low.value(x), 1, "C")
    attributes: dict[str, Any] = {"groups": groups, **unusual_values({"epsilon": 1e-5}, epsilon=epsilon)}
    has_both = len(weights) == len(("weight", "bias"))
    if not has_both:
        attributes["affine"] = False
    others = [a for a in value.axes if a != "C"]
    if others and not set(others) <= {"D", "H", "W"}:
        attributes["over"] = others
    if has_both or not weights:
        return low.emit("group_norm", [value], attributes, name=name, weights=weights)
    result = low.emit("group_norm", [value], attributes)
    for slot, op in (("weight", "multiply"), ("bias", "add")):
        if slot in weights:
            own = low.add_weight(weights[slot].name, [value.axes["C"]], True)
            result = combine_values(low, op, result, own.with_dims([own.dims[0], *([()] * len(others))]))
    return result


@lowers("nn.InstanceNorm1d", "nn.InstanceNorm2d", "nn.InstanceNorm3d")
def lower_instance_norm(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s, weights = call.settings, layer_weights(call, "weight", "bias")
    if s["track_running_stats"]:
        raise Unsupported("instance norm with running statistics")
    value, _ = require_axis(low, low.value(x), 1, "C")
    attributes = unusual_values({"epsilon": 1e-5, "affine": False}, epsilon=s["eps"], affine=bool(weights))
    name = low.relative_path(call.path)
    return low.emit("instance_norm", [value], attributes, name=name, weights=weights)


@lowers("nn.LocalResponseNorm")
def lower_response_norm(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    numbers = {key: call.settings[key] for key in ("size", "alpha", "beta", "k")}
    return low.emit("local_response_norm", [low.value(x)], numbers, name=low.relative_path(call.path))


@lowers("normalize")
def lower_normalize(
    low: Lowerer, input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
) -> NamedValue:
    if p != 2:
        raise Unsupported(f"normalize with p = {p}")
    value, axis = require_axis(low, low.value(input), dim)
    return low.emit(
        "normalize", [value], unusual_values({"over": "C", "epsilon": 1e-12}, over=axis, epsilon=eps)
    )


# -------------------------------------------------------------------------------------------------- dropout


@lowers("nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d")
def lower_dropout_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, rate = low.value(x), call.settings["p"]
    if not rate:
        return value
    attributes: dict[str, Any] = unusual_values({"rate": 0.5}, rate=rate)
    if call.function != "nn.Dropout":
        attributes["over"] = [a for a in value.axes if a != "C"]
    return low.emit("dropout", [value], attributes, name=low.relative_path(call.path))


@lowers("dropout")
def lower_dropout(
    low: Lowerer, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> NamedValue:
    value = low.value(input)
    return low.emit("dropout", [value], unusual_values({"rate": 0.5}, rate=p)) if p else value


@lowers("nn.DropPath")
def lower_drop_path(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, rate = low.value(x), call.settings.get("drop_prob", call.settings.get("p")) or 0.0
    if call.settings.get("mode", "row") != "row":
        raise Unsupported("stochastic depth of whole batches")
    if not rate and not low.drops_paths:
        return value
    return low.emit("drop_path", [value], {"rate": round(float(rate), 6)}, name=low.relative_path(call.path))


@lowers("weight_norm")
def lower_weight_norm(low: Lowerer, v: Any, g: Any, dim: int = 0) -> NamedValue:
    """Lower a kernel `v` with the length `g`, along all dimensions but one (arXiv 1602.07868)."""
    direction = low.value(v)
    others = [d for d in range(len(direction.dims)) if d != dim % len(direction.dims)]
    length = reduce_value(low, "l2_norm", direction, others, True)
    return combine_values(low, "multiply", direction, combine_values(low, "divide", g, length))

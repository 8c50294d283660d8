"""Normalization, fixed scales, and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.handler_table import per_axis, unusual_values
from specbuild.importing.keras.handlers.registry import lowers, own_weights, result_shape
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Published, Step, Unsupported
from specbuild.importing.trace import FunctionCall

LEAST_DEVIATION = 1e-7  # of Keras
DIGITS = 12  # of a momentum: 1 - 0.99 is 0.01


@lowers("BatchNormalization")
def lower_batch_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    [dim] = per_axis(s["axis"], 1)
    value, axis = require_axis(low, low.value(x), dim)
    if s.get("renorm"):
        raise Unsupported("batch renormalization")
    statistics = own_weights(call, moving_mean="moving_mean", moving_variance="moving_variance")
    is_affine = s["center"] and s["scale"]
    attributes = unusual_values(
        {"epsilon": 1e-5, "momentum": 0.1, "affine": True, "over": "C"},
        epsilon=s["epsilon"],
        momentum=round(1 - s["momentum"], DIGITS),
        affine=is_affine,
        over=axis,
    )
    name = low.relative_path(call.path)
    if is_affine:
        weights = own_weights(call, gamma="gamma", beta="beta") | statistics
        return low.emit("batch_norm", [value], attributes, name=name, weights=weights)
    value = low.emit("batch_norm", [value], attributes, name=name, weights=statistics)
    return add_affine(low, call, value, axis, name)


def add_affine(low: Lowerer, call: FunctionCall, value: NamedValue, axis: str, name: str) -> NamedValue:
    """Add the scale, or the shift, of a norm that has only one of them."""
    for flag, slot, op, initial in (
        ("scale", "gamma", "multiply", "ones"),
        ("center", "beta", "add", "zeros"),
    ):
        if call.settings[flag]:
            published = own_weights(call, **{slot: slot})[slot]
            own = f"{name}_{'scale' if op == 'multiply' else 'shift'}"
            weight = add_vector(low, published, axis, value.axes[axis], own, initial)
            value = combine_values(low, op, value, weight)
    return value


def add_vector(
    low: Lowerer, published: Published, axis: str, size: int, name: str, initial: str, trained: bool = True
) -> NamedValue:
    """Add a weight with one number for each position on an axis."""
    attributes: dict[str, Any] = {"axes": {axis: size}} | ({} if initial == "zeros" else {"init": initial})
    if not trained:
        attributes["trained"] = False
    step = Step("weight", attributes, name=name, weights={"": published}, axes={axis: size})
    return low.add_step(step, ((axis,),))


def add_numbers(low: Lowerer, numbers: list[float], axis: str) -> NamedValue:
    """Add a table with a given number for each position on an axis."""
    axes = {axis: len(numbers)}
    return low.add_step(Step("const", {"axes": dict(axes)}, axes=axes, table=np.array(numbers)), ((axis,),))


@lowers("LayerNormalization")
def lower_layer_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s, value, over = call.settings, low.value(x), []
    for dim in per_axis(s["axis"], 1):
        value, axis = require_axis(low, value, dim)
        over.append(axis)
    if s.get("rms_scaling"):
        raise Unsupported("LayerNormalization with rms_scaling", "use RMSNormalization")
    attributes = unusual_values({"over": ["C"], "epsilon": 1e-5}, over=over, epsilon=s["epsilon"])
    name = low.relative_path(call.path)
    if s["center"] and not s["scale"]:
        value = low.emit("layer_norm", [value], {**attributes, "affine": False}, name=name)
        if len(over) > 1:
            raise Unsupported("LayerNormalization over several axes with a shift only")
        return add_affine(low, call, value, over[0], name)
    if not s["scale"]:
        attributes["affine"] = False
    elif not s["center"]:
        attributes["bias"] = False
    weights = own_weights(call, gamma="gamma", beta="beta")
    return low.emit("layer_norm", [value], attributes, name=name, weights=weights)


@lowers("RMSNormalization")
def lower_rms_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, axis = require_axis(low, low.value(x), per_axis(call.settings["axis"], 1)[0])
    attributes = unusual_values({"over": "C", "epsilon": 1e-6}, over=axis, epsilon=call.settings["epsilon"])
    weights = own_weights(call, scale="scale")
    return low.emit("rms_norm", [value], attributes, name=low.relative_path(call.path), weights=weights)


@lowers("GroupNormalization")
def lower_group_norm_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    value, _ = require_axis(low, low.value(x), per_axis(s["axis"], 1)[0], "C")
    if s["center"] != s["scale"]:
        raise Unsupported("GroupNormalization with only one of scale and shift")
    groups = value.axes["C"] if s["groups"] == -1 else s["groups"]
    attributes = {"groups": groups, **unusual_values({"epsilon": 1e-5}, epsilon=s["epsilon"])}
    if not s["scale"]:
        attributes["affine"] = False
    others = [a for a in value.axes if a != "C"]
    if others and not set(others) <= {"D", "H", "W"}:
        attributes["over"] = others
    weights = own_weights(call, gamma="gamma", beta="beta")
    return low.emit("group_norm", [value], attributes, name=low.relative_path(call.path), weights=weights)


@lowers("UnitNormalization")
def lower_unit_norm(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, axis = require_axis(low, low.value(x), per_axis(call.settings["axis"], 1)[0])
    return low.emit("normalize", [value], {} if axis == "C" else {"over": axis})


@lowers("Normalization")
def lower_fixed_norm(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    """Scale by numbers that are given."""
    s = call.settings
    mean, variance = s.get("mean"), s.get("variance")
    if s.get("invert") or per_axis(s["axis"], 1) not in ([-1], [len(result_shape(low, call)) - 1]):
        raise Unsupported("Normalization that is inverted, or over other axes than the last")
    value, axis = require_axis(low, low.value(x), -1)
    if mean is None or variance is None:
        return add_learned_statistics(low, call, value, axis)
    means, deviations = flat_numbers(mean), [max(v**0.5, LEAST_DEVIATION) for v in flat_numbers(variance)]
    if len(means) == 1 and len(deviations) == 1:
        attributes = {"by": 1 / deviations[0], "plus": -means[0] / deviations[0]}
        return low.emit("scale", [value], attributes)
    for op, numbers in (("subtract", means), ("divide", deviations)):
        value = combine_values(low, op, value, add_numbers(low, numbers, axis))
    return value


def write_initial(number: float) -> str:
    text = repr(float(number))
    return text.replace("e-0", "e-").removesuffix(".0")


def flat_numbers(numbers: Any) -> list[float]:
    if isinstance(numbers, list):
        return [n for item in numbers for n in flat_numbers(item)]
    return [float(numbers)]


def add_learned_statistics(low: Lowerer, call: FunctionCall, value: NamedValue, axis: str) -> NamedValue:
    """Scale by the mean and variance that `adapt` has found: weights that training does not change."""
    weights = own_weights(call, mean="mean", variance="variance")
    name, size = low.relative_path(call.path), value.axes[axis]
    mean = add_vector(low, weights["mean"], axis, size, f"{name}_mean", "zeros", trained=False)
    variance = add_vector(low, weights["variance"], axis, size, f"{name}_variance", "ones", trained=False)
    deviation = low.emit("clip", [low.emit("sqrt", [variance])], {"min": LEAST_DEVIATION})
    return combine_values(low, "divide", combine_values(low, "subtract", value, mean), deviation)


@lowers("Rescaling")
def lower_rescaling(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    """Scale all numbers, or each channel by its own."""
    value = low.value(x)
    for key, op, neutral in (("scale", "multiply", 1.0), ("offset", "add", 0.0)):
        numbers = flat_numbers(call.settings[key])
        if len(numbers) == 1:
            if numbers[0] != neutral:
                value = combine_values(low, op, value, numbers[0])
            continue
        value, axis = require_axis(low, value, -1)
        value = combine_values(low, op, value, add_numbers(low, numbers, axis))
    return value


@lowers("LayerScale")
def lower_layer_scale(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, axis = require_axis(low, low.value(x), -1)
    [published] = call.settings["weights"].values()
    initial = f"constant({write_initial(call.settings['init_values'])})"
    name = low.relative_path(call.path)
    weight = add_vector(low, Published(published), axis, value.axes[axis], name, initial)
    return combine_values(low, "multiply", value, weight)


@lowers("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def lower_dropout_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, s = low.value(x), call.settings
    if not s["rate"]:
        return value
    attributes: dict[str, Any] = unusual_values({"rate": 0.5}, rate=s["rate"])
    shared = s.get("noise_shape")
    if call.function != "Dropout":
        shared = [None, *[1] * (len(value.dims) - 2), None]
    if shared is not None:
        if list(shared) == [None, *[1] * (len(value.dims) - 1)]:
            return low.emit(
                "drop_path", [value], {"rate": round(s["rate"], DIGITS)}, name=low.relative_path(call.path)
            )
        over = [axis for n, dim in zip(shared, value.dims, strict=True) if n == 1 for axis in dim]
        attributes["over"] = over
    return low.emit("dropout", [value], attributes, name=low.relative_path(call.path))


@lowers("StochasticDepth")
def lower_stochastic_depth(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    rate = round(float(call.settings["drop_path_rate"]), 6)
    return low.emit("drop_path", [low.value(x)], {"rate": rate}, name=low.relative_path(call.path))

"""Activations, sums and products of several values, and functions of `keras.ops`."""

from __future__ import annotations

from functools import reduce
from typing import Any

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.handler_table import per_axis
from specbuild.importing.keras.handlers.registry import append_activation, lowers, own_weights
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.reducing import reduce_value
from specbuild.importing.trace import FunctionCall

MERGES = {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Maximum": "maximum",
    "Minimum": "minimum",
}
ARITHMETIC = {**MERGES, "Divide": "divide", "TrueDivide": "divide"}
FUNCTIONS = {
    **{
        name: name.lower()
        for name in "Abs Exp Log Sqrt Rsqrt Square Sin Cos Erf Sign Reciprocal Floor Tanh Relu Relu6 Sigmoid".split()
    },
    "Negative": "neg",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "LogSigmoid": "log_sigmoid",
    "Selu": "selu",
}
REDUCTIONS = {"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min"}


@lowers("Activation")
def lower_activation(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    name = call.settings["activation"]
    if name == "softmax":
        return add_softmax(low, low.value(x), -1)
    return append_activation(low, low.value(x), name)


def add_softmax(low: Lowerer, value: NamedValue, dim: int) -> NamedValue:
    value, axis = require_axis(low, value, dim)
    return low.emit("softmax", [value], {} if axis == "C" else {"over": [axis]})


@lowers("Softmax", "ops.Softmax")
def lower_softmax_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return add_softmax(low, low.value(x), per_axis(call.settings.get("axis", -1), 1)[0])


@lowers("ReLU")
def lower_relu_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    slope, top, threshold = (float(s[k] or 0) for k in ("negative_slope", "max_value", "threshold"))
    if threshold or (slope and s["max_value"] is not None):
        raise Unsupported("ReLU with a threshold, or with a slope and a maximum")
    value = low.value(x)
    if slope:
        return low.emit("leaky_relu", [value], {"slope": slope})
    if s["max_value"] is None:
        return low.emit("relu", [value])
    return low.emit("relu6", [value]) if top == 6 else low.emit("clip", [value], {"min": 0, "max": top})


@lowers("LeakyReLU", "ops.LeakyRelu")
def lower_leaky_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    slope = float(call.settings["negative_slope"])
    return low.emit("leaky_relu", [low.value(x)], {} if slope == 0.01 else {"slope": slope})


@lowers("ELU", "ops.Elu")
def lower_elu_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    alpha = float(call.settings["alpha"])
    return low.emit("elu", [low.value(x)], {} if alpha == 1 else {"alpha": alpha})


@lowers("PReLU")
def lower_prelu_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value = low.value(x)
    shared = call.settings.get("shared_axes") or []
    if [d for d in range(1, len(value.dims)) if d not in shared] != [len(value.dims) - 1]:
        raise Unsupported("PReLU with a slope for each position", "share it: shared_axes=[1, 2]")
    value, _ = require_axis(low, value, -1, "C")
    return low.emit(
        "prelu",
        [value],
        {"over": "C"},
        name=low.relative_path(call.path),
        weights=own_weights(call, alpha="alpha"),
    )


@lowers("ops.Gelu")
def lower_gelu_function(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    attributes = {"approximate": "tanh"} if call.settings.get("approximate", True) else {}
    return low.emit("gelu", [low.value(x)], attributes)


@lowers("Identity", "ActivityRegularization", "GaussianNoise", "GaussianDropout", "ops.Identity")
def lower_identity(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    if call.function.startswith("Gaussian"):
        raise Unsupported(f"{call.function}: noise in training has no counterpart among the ops")
    return low.value(x)


def register_merge(name: str, op: str) -> None:
    @lowers(name)
    def lower_merge(low: Lowerer, call: FunctionCall, values: Any) -> NamedValue:
        def combine(first: Any, second: Any) -> NamedValue:
            return combine_values(low, op, first, second)

        result: NamedValue = reduce(combine, values)
        return result


def register_arithmetic(name: str, op: str) -> None:
    @lowers(f"ops.{name}")
    def lower_arithmetic(low: Lowerer, call: FunctionCall, first: Any, second: Any) -> NamedValue:
        return combine_values(low, op, first, second)


def register_function(name: str, op: str) -> None:
    @lowers(f"ops.{name}")
    def lower_elementwise(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
        return low.emit(op, [low.value(x)])


def register_reducer(name: str, op: str) -> None:
    @lowers(f"ops.{name}")
    def lower_reduction(low: Lowerer, call: FunctionCall, x: Any, **options: Any) -> NamedValue:
        given = {**call.settings, **options}
        return reduce_value(low, op, low.value(x), given.get("axis"), bool(given.get("keepdims")))


for _name, _op in MERGES.items():
    register_merge(_name, _op)
for _name, _op in ARITHMETIC.items():
    register_arithmetic(_name, _op)
for _name, _op in FUNCTIONS.items():
    register_function(_name, _op)
for _name, _op in REDUCTIONS.items():
    register_reducer(_name, _op)


@lowers("CustomScaleLayer")
def lower_scaled_sum(low: Lowerer, call: FunctionCall, values: Any) -> NamedValue:
    """Add the second value times a number, as keras.applications does in InceptionResNetV2."""
    scaled = combine_values(low, "multiply", values[1], float(call.settings["scale"]))
    return combine_values(low, "add", values[0], scaled)


@lowers("Average")
def lower_average(low: Lowerer, call: FunctionCall, values: Any) -> NamedValue:
    result = reduce(lambda a, b: combine_values(low, "add", a, b), values)
    return low.emit("scale", [result], {"by": 1 / len(values)})

"""Activations, arithmetic, and what computes nothing."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import broadcast_values, combine_values
from specbuild.importing.handler_table import unusual_values
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import HANDLERS, layer_weights, lowers
from specbuild.importing.trace import FunctionCall, Opaque, ValueRef

# Functions of one value by the name of the op, and layers by their class.
FUNCTIONS = {
    **{
        name: name
        for name in """relu relu6 selu silu mish softsign sigmoid tanh neg abs sign square sqrt rsqrt reciprocal
        exp log sin cos floor erf trunc""".split()
    },
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_silu",
    "logsigmoid": "log_sigmoid",
    "negative": "neg",
    "tanhshrink": "tanh_shrink",
    "logical_not": "logical_not",
}
LAYERS = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Mish": "mish",
    "Softsign": "softsign",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_silu",
    "LogSigmoid": "log_sigmoid",
    "Tanhshrink": "tanh_shrink",
}
# Layers with numbers: their op, and for each attribute its name in PyTorch and the default.
LAYERS_WITH_NUMBERS: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "LeakyReLU": ("leaky_relu", {"slope": ("negative_slope", 0.01)}),
    "ELU": ("elu", {"alpha": ("alpha", 1.0)}),
    "CELU": ("celu", {"alpha": ("alpha", 1.0)}),
    "GELU": ("gelu", {"approximate": ("approximate", "none")}),
    "Softplus": ("softplus", {"beta": ("beta", 1.0)}),
    "Hardshrink": ("hard_shrink", {"threshold": ("lambd", 0.5)}),
    "Softshrink": ("soft_shrink", {"threshold": ("lambd", 0.5)}),
}
ARITHMETIC = {
    "add": "add",
    "sub": "subtract",
    "subtract": "subtract",
    "mul": "multiply",
    "multiply": "multiply",
    "div": "divide",
    "truediv": "divide",
    "true_divide": "divide",
    "maximum": "maximum",
    "minimum": "minimum",
}
UNCHANGED = "contiguous clone to type_as cpu requires_grad alias detach".split()


def add_activation(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    """Lower a layer without weights: an activation."""
    kind = call.function.removeprefix("nn.")
    op, numbers = LAYERS_WITH_NUMBERS.get(kind) or (LAYERS[kind], {})
    attributes = {
        name: call.settings[own] for name, (own, default) in numbers.items() if call.settings[own] != default
    }
    return low.emit(op, [low.value(x)], attributes, name=low.relative_path(call.path))


HANDLERS.register(*(f"nn.{kind}" for kind in (*LAYERS, *LAYERS_WITH_NUMBERS)))(add_activation)


def register_function(name: str, op: str) -> None:
    @lowers(name)
    def lower_elementwise(low: Lowerer, input: Any, inplace: bool = False) -> NamedValue:
        return low.emit(op, [low.value(input)])


def register_arithmetic(name: str, op: str) -> None:
    @lowers(name)
    def lower_arithmetic(
        low: Lowerer, input: Any, other: Any, alpha: float = 1, rounding_mode: str | None = None
    ) -> NamedValue:
        if rounding_mode:
            raise Unsupported("a division that rounds")
        return combine_values(low, op, input, other, alpha)

    @lowers(f"r{name}")
    def lower_swapped(low: Lowerer, input: Any, other: Any) -> NamedValue:
        return combine_values(low, op, other, input)


for _name, _op in FUNCTIONS.items():
    register_function(_name, _op)
for _name, _op in ARITHMETIC.items():
    register_arithmetic(_name, _op)


@lowers("nn.Identity", *UNCHANGED)
def lower_unchanged(low: Lowerer, first: Any, *rest: Any, **options: Any) -> NamedValue:
    """Pass a value on: a layer that does nothing, or a conversion to the same kind of numbers."""
    if isinstance(first, FunctionCall):
        value = low.value(rest[0])
        if low.drops_paths and "drop_path" in first.path:  # where others drop paths, the rate is 0 here
            return low.emit("drop_path", [value], {"rate": 0.0}, name=low.relative_path(first.path))
        return value
    value = low.value(first)
    given = [*rest, *options.values()]
    targets = [x.text for x in given if isinstance(x, Opaque)]
    targets += [low.trace.values[x.number].dtype for x in given if isinstance(x, ValueRef)]
    return convert_to_float(low, value) if any("float" in text for text in targets) else value


@lowers("float", "double")
def lower_float(low: Lowerer, input: Any) -> NamedValue:
    return convert_to_float(low, low.value(input))


def convert_to_float(low: Lowerer, value: NamedValue) -> NamedValue:
    return value if value.dtype == "float" else low.emit("cast", [value], {"dtype": "float"}, dtype="float")


@lowers("gelu")
def lower_gelu(low: Lowerer, input: Any, approximate: str = "none") -> NamedValue:
    return low.emit(
        "gelu", [low.value(input)], unusual_values({"approximate": "none"}, approximate=approximate)
    )


@lowers("leaky_relu")
def lower_leaky_relu(
    low: Lowerer, input: Any, negative_slope: float = 0.01, inplace: bool = False
) -> NamedValue:
    return low.emit("leaky_relu", [low.value(input)], unusual_values({"slope": 0.01}, slope=negative_slope))


@lowers("elu")
def lower_elu(low: Lowerer, input: Any, alpha: float = 1.0, inplace: bool = False) -> NamedValue:
    return low.emit("elu", [low.value(input)], unusual_values({"alpha": 1.0}, alpha=alpha))


@lowers("softplus")
def lower_softplus(low: Lowerer, input: Any, beta: float = 1.0, threshold: float = 20) -> NamedValue:
    return low.emit("softplus", [low.value(input)], unusual_values({"beta": 1.0}, beta=beta))


@lowers("hardtanh")
def lower_hardtanh(
    low: Lowerer, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> NamedValue:
    if (min_val, max_val) == (0, 6):
        return low.emit("relu6", [low.value(input)])
    return low.emit("clip", [low.value(input)], {"min": min_val, "max": max_val})


@lowers("nn.Hardtanh")
def lower_hardtanh_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_hardtanh(low, x, call.settings["min_val"], call.settings["max_val"])


@lowers("clamp", "clip")
def lower_clamp(low: Lowerer, input: Any, min: Any = None, max: Any = None) -> NamedValue:
    limits = {name: limit for name, limit in (("min", min), ("max", max)) if limit is not None}
    if any(isinstance(limit, ValueRef) for limit in limits.values()):
        raise Unsupported("clamp with limits that are computed")
    return low.emit("clip", [low.value(input)], limits)


@lowers("pow")
def lower_power(low: Lowerer, input: Any, exponent: Any) -> NamedValue:
    if not isinstance(exponent, int | float):
        raise Unsupported("a power whose exponent is computed")
    if exponent == 2:
        return low.emit("square", [low.value(input)])
    return low.emit("power", [low.value(input)], {"exponent": exponent})


@lowers("nn.PReLU")
def lower_prelu(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value, attributes = low.value(x), {}
    if call.settings["num_parameters"] > 1:
        value, axis = require_axis(low, value, 1)
        attributes = {"over": axis}
    name = low.relative_path(call.path)
    return low.emit("prelu", [value], attributes, name=name, weights=layer_weights(call, "weight"))


@lowers("softmax")
def lower_softmax(
    low: Lowerer, input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None
) -> NamedValue:
    if dim is None:
        raise Unsupported("softmax without a dimension")
    value, axis = require_axis(low, low.value(input), dim)
    return low.emit("softmax", [value], unusual_values({"over": "C"}, over=axis))


@lowers("log_softmax")
def lower_log_softmax(
    low: Lowerer, input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None
) -> NamedValue:
    value, axis = require_axis(low, low.value(input), dim)
    return low.emit("log_softmax", [value], unusual_values({"over": "C"}, over=axis))


@lowers("nn.Softmax")
def lower_softmax_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_softmax(low, x, call.settings["dim"])


@lowers("nn.LogSoftmax")
def lower_log_softmax_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_log_softmax(low, x, call.settings["dim"])


@lowers("glu")
def lower_glu(low: Lowerer, input: Any, dim: int = -1) -> NamedValue:
    value, axis = require_axis(low, low.value(input), dim)
    return low.emit(
        "glu", [value], unusual_values({"over": "C"}, over=axis), sizes={axis: value.axes[axis] // 2}
    )


@lowers("nn.GLU")
def lower_glu_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_glu(low, x, call.settings["dim"])


@lowers("masked_fill")
def lower_masked_fill(low: Lowerer, input: Any, mask: Any, value: Any) -> NamedValue:
    if not isinstance(value, int | float):
        raise Unsupported("masked_fill with a value that is computed")
    kept = low.emit("logical_not", [low.value(mask)])
    filled, kept, dims = broadcast_values(low, low.value(input), kept)
    return low.emit(
        "where", [filled, kept], {"value": value}, dims=dims, roles=("then", "condition"), dtype=filled.dtype
    )


@lowers("addcmul")
def lower_addcmul(low: Lowerer, input: Any, first: Any, second: Any, value: float = 1) -> NamedValue:
    return combine_values(low, "add", input, combine_values(low, "multiply", first, second), value)

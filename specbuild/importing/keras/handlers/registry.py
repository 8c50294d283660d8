"""The table of handlers of Keras, which their modules fill: layers by their class, and operations of `keras.ops`, as `ops.Add`.

Each gets the call first, whose settings are the arguments of the layer.
"""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import HandlerTable
from specbuild.importing.keras.padding_pattern import unite_padding
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Published, Unsupported
from specbuild.importing.trace import FunctionCall

HANDLERS = HandlerTable(patterns=[unite_padding], has_channels_last=True)
lowers = HANDLERS.register

# The ops for activations by their name, with attributes that differ from their default.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        name: (name, {})
        for name in """relu relu6 sigmoid tanh softmax silu mish softplus softsign elu selu celu glu gelu hard_sigmoid
        hard_silu hard_tanh log_sigmoid log_softmax tanh_shrink soft_shrink hard_shrink""".split()
    },
    "swish": ("silu", {}),
    "hard_swish": ("hard_silu", {}),
    "exponential": ("exp", {}),
    "leaky_relu": ("leaky_relu", {"slope": 0.2}),
}


def operation_name(module: str, kind: str) -> str:
    """Return the name of a layer, or of an operation, in the table."""
    return f"ops.{kind}" if module.startswith(("keras.src.ops", "keras.ops")) else kind


def require_channels_last(call: FunctionCall) -> None:
    if call.settings.get("data_format") == "channels_first":
        raise Unsupported(f"{call.function} with channels first", "build the model with channels_last")


def own_weights(call: FunctionCall, **slots: str) -> dict[str, Published]:
    """Return the weights of a layer by slot, those that it does not have left out; each slot with its name in the layer."""
    held = call.settings["weights"]
    return {slot: Published(held[name]) for slot, name in slots.items() if name in held}


def append_activation(low: Lowerer, value: NamedValue, name: Any) -> NamedValue:
    """Add the activation that a layer applies at its end. Raises Unsupported for one that is not known."""
    if name in (None, "linear"):
        return value
    if name not in ACTIVATIONS:
        raise Unsupported(f"the activation {name}")
    op, attributes = ACTIVATIONS[name]
    return low.emit(op, [value], attributes)


def result_shape(low: Lowerer, call: FunctionCall) -> tuple[int, ...]:
    return low.trace.values[call.results[0]].shape

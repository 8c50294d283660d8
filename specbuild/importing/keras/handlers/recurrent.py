"""Recurrent layers, in one direction or both."""

from __future__ import annotations

from typing import Any

from specbuild.importing.keras.handlers.registry import lowers
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Published, Unsupported
from specbuild.importing.trace import FunctionCall

OPS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}


def recurrent_attributes(kind: str, s: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes for the arguments of a layer. Raises Unsupported."""
    activation = s.get("activation", "tanh")
    is_usual = s.get("recurrent_activation", "sigmoid") == "sigmoid" and s.get("reset_after", True)
    if not is_usual or (activation != "tanh" and kind != "SimpleRNN") or activation not in ("tanh", "relu"):
        raise Unsupported(f"{kind} with other activations than tanh and sigmoid, or reset_after=False")
    given = [
        k for k in ("return_state", "stateful", "go_backwards", "dropout", "recurrent_dropout") if s.get(k)
    ]
    if given:
        raise Unsupported(f"{kind} with {', '.join(given)}")
    attributes: dict[str, Any] = {"units": s["units"]}
    if activation != "tanh":
        attributes["activation"] = activation
    if not s["use_bias"]:
        attributes["bias"] = False
    if not s["return_sequences"]:
        attributes["returns"] = "last"
    return attributes


def add_recurrent(
    low: Lowerer, call: FunctionCall, x: Any, kind: str, attributes: dict[str, Any]
) -> NamedValue:
    value, axis = require_axis(low, low.value(x), 1)
    value, _ = require_axis(low, value, -1, "C")
    if axis != "T":
        attributes["over"] = axis
    held: dict[str, str] = call.settings["weights"]
    op = OPS[kind]
    weights = {slot_name(name, op): Published(published) for name, published in held.items()}
    width = attributes["units"] * (2 if attributes.get("bidirectional") else 1)
    sizes = {a: n for a, n in value.axes.items() if a != axis or "returns" not in attributes} | {"C": width}
    dims = value.dims if "returns" not in attributes else [value.dims[0], *value.dims[2:]]
    name = low.relative_path(call.path)
    return low.emit(op, [value], attributes, sizes=sizes, dims=dims, name=name, weights=weights)


def slot_name(name: str, op: str) -> str:
    """Return where the language's own Keras layer has this weight: `forward_lstm/lstm_cell/kernel`."""
    *direction, cell, leaf = name.split("/")
    if not direction:
        return f"{cell}/{leaf}"
    return f"{direction[-1].partition('_')[0]}_{op}/{cell}/{leaf}"


@lowers(*OPS)
def lower_recurrent_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    attributes = recurrent_attributes(call.function, call.settings)
    return add_recurrent(low, call, x, call.function, attributes)


@lowers("Bidirectional")
def lower_bidirectional(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    s = call.settings
    inner = s["layer"]
    kind = inner["class_name"]
    if kind not in OPS or s.get("merge_mode") != "concat":
        raise Unsupported("Bidirectional of another layer, or that does not join both directions")
    attributes = {**recurrent_attributes(kind, inner["config"]), "bidirectional": True}
    return add_recurrent(low, call, x, kind, attributes)


@lowers("TimeDistributed")
def lower_time_distributed(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    raise Unsupported("TimeDistributed", "Dense works on the last axis of any value by itself")

"""Recurrent layers: one step for each level."""

from __future__ import annotations

from typing import Any

from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    NamedValue,
    Published,
    Step,
    Unsupported,
    ValueSource,
)
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import FunctionCall


@lowers("nn.LSTM", "nn.GRU", "nn.RNN")
def lower_recurrent(low: Lowerer, call: FunctionCall, x: Any, *state: Any) -> list[NamedValue | None]:
    """Add a step for each level, which reads the one before, with the dropout between them."""
    s = call.settings
    if any(v is not None for v in state) or s.get("proj_size"):
        raise Unsupported("a recurrent layer with a projection, or with a state that is given")
    value, axis = require_axis(low, low.value(x), 1 if s["batch_first"] else 0)
    value, _ = require_axis(low, value, -1, "C")
    path, levels = low.relative_path(call.path), s["num_layers"]
    for level in range(levels):
        if level and s["dropout"]:
            value = low.emit("dropout", [value], {"rate": s["dropout"]})
        name = path if levels == 1 else f"{path}.level{level}"
        value = add_level(low, call, value, axis, level, name)
    if low.used.isdisjoint(call.results[1:]):
        return [value, *[None] * (len(call.results) - 1)]
    if levels > 1 or s["bidirectional"] or not isinstance(value.source.step, Step):
        raise Unsupported("the last state of a recurrent layer of several levels or both directions")
    step = value.source.step
    step.attributes["returns"] = "all"
    sizes = {a: n for a, n in value.axes.items() if a != axis}
    states = [
        NamedValue(ValueSource(step, name), sizes, ((), (BATCH,), ("C",)), value.dtype)
        for name in ("h", "c")[: len(call.results) - 1]
    ]
    sequence = NamedValue(ValueSource(step, "sequence"), value.axes, value.dims, value.dtype)
    return [sequence, *states]


def add_level(
    low: Lowerer, call: FunctionCall, value: NamedValue, axis: str, level: int, name: str
) -> NamedValue:
    s = call.settings
    attributes: dict[str, Any] = {"units": s["hidden_size"]}
    if s.get("nonlinearity", "tanh") != "tanh":
        attributes["activation"] = s["nonlinearity"]
    if s["bidirectional"]:
        attributes["bidirectional"] = True
    if not s["bias"]:
        attributes["bias"] = False
    if axis != "T":
        attributes["over"] = axis
    ends = (f"_l{level}", f"_l{level}_reverse")
    weights = {
        slot.replace(f"_l{level}", "_l0"): Published(published)
        for slot, published in s["weights"].items()
        if slot.endswith(ends)
    }
    sizes = {"C": s["hidden_size"] * (2 if s["bidirectional"] else 1)}
    op = call.function.removeprefix("nn.").lower()
    return low.emit(op, [value], attributes, sizes=sizes, name=name, weights=weights)

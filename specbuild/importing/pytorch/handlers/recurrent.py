"""Recurrent layers: one step for each level, and cells: a sequence of one position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.importing.broadcasting import stack_values
from specbuild.importing.layouts import require_axis, split_axis, widen_dim
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    Dim,
    NamedValue,
    Published,
    Step,
    Unsupported,
    ValueSource,
)
from specbuild.importing.pytorch.handlers.indexing import select_position
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import FunctionCall, walk_calls

STATES = ("h", "c")


@lowers("nn.LSTM", "nn.GRU", "nn.RNN")
def lower_recurrent(low: Lowerer, call: FunctionCall, x: Any, state: Any = None) -> list[NamedValue | None]:
    """Add a step for each level, which reads the one before, with the dropout between them."""
    s = call.settings
    if s.get("proj_size"):
        raise Unsupported("a recurrent layer with a projection")
    given = read_initial(low, call, state)
    if given and s["bidirectional"]:
        raise Unsupported("a recurrent layer of both directions with a state that is given")
    value, axis = require_axis(low, low.value(x), 1 if s["batch_first"] else 0)
    value, _ = require_axis(low, value, -1, "C")
    path, levels = low.relative_path(call.path), s["num_layers"]
    returns_states = not low.used.isdisjoint(call.results[1:])
    states: list[list[NamedValue]] = []
    for level in range(levels):
        if level and s["dropout"]:
            value = low.emit("dropout", [value], {"rate": s["dropout"]})
        name = path if levels == 1 else f"{path}.level{level}"
        initial = [select_position(low, part, 0, level) for part in given]
        value = add_level(low, call, value, axis, level, name, initial)
        if returns_states:
            states.append(read_states(low, call, value, axis))
            value = NamedValue(ValueSource(read_step(value), "sequence"), value.axes, value.dims, value.dtype)
    if not returns_states:
        return [value, *[None] * (len(call.results) - 1)]
    return [value, *(join_levels(low, parts) for parts in zip(*states, strict=True))]


def as_list(state: Any) -> list[Any]:
    """Return the parts of a state: none, one, or two of an LSTM."""
    if state is None:
        return []
    return list(state) if isinstance(state, list | tuple) else [state]


def read_step(value: NamedValue) -> Step:
    assert isinstance(value.source.step, Step)
    return value.source.step


def read_states(low: Lowerer, call: FunctionCall, value: NamedValue, axis: str) -> list[NamedValue]:
    """Return the last states of a level, with a dimension before the batch: of the directions, if there are both."""
    step = read_step(value)
    step.attributes["returns"] = "all"
    sizes = {a: n for a, n in value.axes.items() if a != axis}
    states = []
    for name in STATES[: len(call.results) - 1]:
        dims: tuple[Dim, ...] = ((BATCH,), ("C",))
        state = NamedValue(ValueSource(step, name), sizes, dims, value.dtype)
        lead: Dim = ()
        if call.settings["bidirectional"]:
            state, (direction, features) = split_axis(low, state, "C", [2, call.settings["hidden_size"]])
            state, lead = state.with_dims([(BATCH,), (features,)]), (direction,)
        states.append(state.with_dims([lead, *state.dims]))
    return states


def join_levels(low: Lowerer, states: Sequence[NamedValue]) -> NamedValue:
    """Return the states of all levels in one value, with one dimension for levels and directions."""
    if len(states) == 1:
        return states[0]
    joined = stack_values(low, list(states), 0)
    return joined.with_dims([(*joined.dims[0], *joined.dims[1]), *joined.dims[2:]])


# As many parameters as a level has.
def add_level(
    low: Lowerer,
    call: FunctionCall,
    value: NamedValue,
    axis: str,
    level: int,
    name: str,
    initial: Sequence[NamedValue],
) -> NamedValue:
    s = call.settings
    attributes = describe_recurrence(s, axis)
    if s["bidirectional"]:
        attributes["bidirectional"] = True
    ends = (f"_l{level}", f"_l{level}_reverse")
    weights = {
        slot.replace(f"_l{level}", "_l0"): Published(published)
        for slot, published in s["weights"].items()
        if slot.endswith(ends)
    }
    op = call.function.removeprefix("nn.").lower()
    size = s["hidden_size"]
    sources, roles = add_initial(low, value, initial, size)
    sizes = {"C": size * (2 if s["bidirectional"] else 1)}
    return low.emit(op, sources, attributes, sizes=sizes, name=name, weights=weights, roles=roles)


def describe_recurrence(settings: dict[str, Any], axis: str) -> dict[str, Any]:
    """Return the attributes of a recurrent layer or cell that are not as by default."""
    attributes: dict[str, Any] = {"units": settings["hidden_size"]}
    if settings.get("nonlinearity", "tanh") != "tanh":
        attributes["activation"] = settings["nonlinearity"]
    if not settings["bias"]:
        attributes["bias"] = False
    if axis != "T":
        attributes["over"] = axis
    return attributes


def add_initial(
    low: Lowerer, value: NamedValue, initial: Sequence[NamedValue], size: int
) -> tuple[list[NamedValue], tuple[str, ...]]:
    """Return the inputs of a step and their names, if an initial state of this size is given."""
    if not initial:
        return [value], ()
    states = [require_axis(low, widen_dim(low, state, -1, size), -1, "C")[0] for state in initial]
    return [value, *states], ("x", *(f"initial_{name}" for name in STATES[: len(states)]))


def read_initial(low: Lowerer, call: FunctionCall, state: Any) -> list[NamedValue]:
    """Return the initial states of a layer, unless they are zeros; if it is called again, all calls have some."""
    initial = [low.value(part) for part in as_list(state)]
    calls = [c for c in walk_calls(low.trace.root) if c.path == call.path]
    return [] if len(calls) == 1 and all(map(is_zero, initial)) else initial


def is_zero(value: NamedValue) -> bool:
    """Return whether a value is a table of zeros."""
    step = value.source.step
    return isinstance(step, Step) and step.op == "const" and step.table is not None and not step.table.any()


@lowers("nn.LSTMCell", "nn.GRUCell", "nn.RNNCell")
def lower_cell(low: Lowerer, call: FunctionCall, x: Any, state: Any = None) -> Any:
    """Lower one step of a recurrent layer as a sequence of one position."""
    s = call.settings
    value, _ = require_axis(low, low.value(x), -1, "C")
    axis = low.unused_axis("T", value)
    dims = [value.dims[0], (axis,), value.dims[-1]]
    sequence = low.emit("expand", [value], {"axes": {axis: 1}}, sizes={axis: 1, **value.axes}, dims=dims)
    is_lstm = call.function == "nn.LSTMCell"
    attributes = describe_recurrence(s, axis) | {"returns": "all" if is_lstm else "last"}
    sources, roles = add_initial(low, sequence, read_initial(low, call, state), s["hidden_size"])
    result = low.emit(
        call.function.removeprefix("nn.").removesuffix("Cell").lower(),
        sources,
        attributes,
        sizes={"C": s["hidden_size"]},
        dims=[value.dims[0], ("C",)],
        name=low.relative_path(call.path),
        weights={f"{slot}_l0": Published(name) for slot, name in s["weights"].items()},
        roles=roles,
    )
    if not is_lstm:
        return result
    return [
        NamedValue(ValueSource(read_step(result), name), result.axes, result.dims, result.dtype)
        for name in STATES
    ]

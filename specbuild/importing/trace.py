"""The trace of one forward pass: which modules and functions were called with which values, as plain JSON.

A worker writes it; everything after it needs no framework. Values have numbers. In arguments, a value is a
`ValueRef`; slices, ellipses and dtypes are kept, and anything else is a JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import asdict

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

VERSION = 1
MAX_CALLS = 50_000
Origin = Literal["call", "input", "weight", "buffer", "constant"]


class ValueRef(Struct, frozen=True):
    """A traced value in the arguments of a call, by its number."""

    number: int


class Opaque(Struct, frozen=True):
    """An argument that is no plain data, such as a dtype: its text."""

    text: str


class TracedValue(Struct, frozen=True):
    """A tensor: its shape, its dtype in the language of specs, and where it comes from.

    `name` is the published name of a weight or buffer; a view of a buffer keeps it.
    """

    shape: tuple[int, ...]
    dtype: str  # float, int32 or bool
    origin: Origin
    name: str = ""


class FunctionCall(Struct, frozen=True):
    """A call of a function such as `torch.relu`, or of a layer such as `nn.Conv2d`, which is not looked into.

    A layer has its `path` in the model, and `settings`: its attributes, with `weights` by slot.
    """

    function: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: tuple[int, ...]
    path: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    line: str = ""


class ModuleCall(Struct, frozen=True):
    """A call of a module with the calls inside it.

    `constructor` has the arguments of its constructor by name, if they are plain data, and `settings`
    its other plain attributes. `repetition` counts the calls of the same module before.
    """

    path: str
    class_name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    body: tuple[Call, ...]
    result: Any
    input_names: tuple[str, ...] = ()
    constructor: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    repetition: int = 0
    is_sequential: bool = False
    has_weights: bool = False
    line: str = ""
    builder: str = (
        ""  # of a container of layers: the function that returned it, whose arguments are in `constructor`
    )
    defaults: dict[str, Any] = field(default_factory=dict)  # of the constructor, if they are plain data


Call: TypeAlias = FunctionCall | ModuleCall


class Trace(Struct, frozen=True):
    """One forward pass in evaluation mode with `batch` samples.

    `weights` has the shape of each entry of the state_dict, `tied` the first name of a tensor that has several.
    `untrained` says why the training of the model is not compared, if so.
    """

    batch: int
    values: tuple[TracedValue, ...]
    root: ModuleCall
    inputs: dict[str, int]
    weights: dict[str, tuple[int, ...]]
    trained: tuple[str, ...]
    tied: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # for the report: what was unusual when the model was made
    untrained: str = ""

    def to_json(self) -> str:
        document = {
            "version": VERSION,
            "batch": self.batch,
            "values": [[list(v.shape), v.dtype, v.origin, v.name] for v in self.values],
            "root": encode_call(self.root),
            "inputs": self.inputs,
            "weights": self.weights,
            "trained": self.trained,
            "tied": self.tied,
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"untrained": self.untrained} if self.untrained else {}),
        }
        return json.dumps(document, separators=(",", ":"))


def trace_from_json(text: str) -> Trace:
    """Read a trace. Raises ValueError for another version, and for one that is too long."""
    document = json.loads(text)
    if document.get("version") != VERSION:
        raise ValueError(f"a trace of version {document.get('version')}, not {VERSION}")
    trace = Trace(
        document["batch"],
        tuple(TracedValue(tuple(shape), *rest) for shape, *rest in document["values"]),
        decode_module(document["root"]),
        document["inputs"],
        {name: tuple(shape) for name, shape in document["weights"].items()},
        tuple(document["trained"]),
        document["tied"],
        tuple(document.get("notes", ())),
        document.get("untrained", ""),
    )
    if sum(1 for _ in walk_calls(trace.root)) > MAX_CALLS:
        raise ValueError(f"a trace of more than {MAX_CALLS:,} calls")
    return trace


def walk_calls(call: ModuleCall) -> Iterator[Call]:
    """Yield all calls inside a module, each module before what is in it."""
    for inner in call.body:
        yield inner
        if isinstance(inner, ModuleCall):
            yield from walk_calls(inner)


def list_refs(argument: Any) -> Iterator[ValueRef]:
    """Yield the values in an argument, however deep they lie."""
    if isinstance(argument, ValueRef):
        yield argument
    elif isinstance(argument, list | tuple):
        for item in argument:
            yield from list_refs(item)
    elif isinstance(argument, dict):
        yield from list_refs(list(argument.values()))
    elif isinstance(argument, slice):
        yield from list_refs((argument.start, argument.stop, argument.step))


# ----------------------------------------------------------------------------------------------- as JSON


def encode_argument(argument: Any) -> Any:
    if isinstance(argument, ValueRef):
        return {"$": argument.number}
    if isinstance(argument, slice):
        return {"slice": [encode_argument(x) for x in (argument.start, argument.stop, argument.step)]}
    if argument is Ellipsis:
        return {"ellipsis": True}
    if isinstance(argument, Opaque):
        return {"opaque": argument.text}
    if isinstance(argument, dict):
        return {"mapping": {key: encode_argument(x) for key, x in argument.items()}}
    if isinstance(argument, list | tuple):
        return [encode_argument(x) for x in argument]
    return argument


def decode_argument(data: Any) -> Any:
    if isinstance(data, list):
        return [decode_argument(x) for x in data]
    if not isinstance(data, dict):
        return data
    [(tag, content)] = data.items()
    if tag == "$":
        return ValueRef(content)
    if tag == "slice":
        return slice(*map(decode_argument, content))
    if tag == "mapping":
        return {key: decode_argument(x) for key, x in content.items()}
    return Ellipsis if tag == "ellipsis" else Opaque(content)


def encode_call(call: Call) -> dict[str, Any]:
    state = asdict(call)
    for key in ("arguments", "keywords", "result"):
        if key in state:
            state[key] = encode_argument(state[key])
    if isinstance(call, ModuleCall):
        state["body"] = [encode_call(inner) for inner in call.body]
    return {key: value for key, value in state.items() if value not in ("", (), {}, False) or key == "body"}


def decode_call(data: dict[str, Any]) -> Call:
    if "body" in data:
        return decode_module(data)
    return FunctionCall(
        data["function"],
        tuple(decode_argument(data.get("arguments", []))),
        decode_argument(data.get("keywords", {"mapping": {}})),
        tuple(data.get("results", ())),
        data.get("path", ""),
        data.get("settings", {}),
        data.get("line", ""),
    )


def decode_module(data: dict[str, Any]) -> ModuleCall:
    plain = {
        key: data[key]
        for key in data.keys() & {"constructor", "settings", "repetition", "line", "builder", "defaults"}
    }
    return ModuleCall(
        data.get("path", ""),
        data["class_name"],
        tuple(decode_argument(data.get("arguments", []))),
        decode_argument(data.get("keywords", {"mapping": {}})),
        tuple(map(decode_call, data["body"])),
        decode_argument(data.get("result")),
        tuple(data.get("input_names", ())),
        is_sequential=data.get("is_sequential", False),
        has_weights=data.get("has_weights", False),
        **plain,
    )

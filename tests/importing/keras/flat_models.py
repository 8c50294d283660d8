"""Configurations and flat traces of Keras models, written without Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specbuild.importing.trace import FunctionCall, ModuleCall, Trace, TracedValue, ValueRef


def write_layer(
    kind: str, name: str, *inputs: str, module: str = "keras.layers", **options: Any
) -> dict[str, Any]:
    """Return a layer of a Functional model as Keras writes it, which reads the results of other layers."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [x, 0, 0]}}
        for x in inputs
    ]
    arguments = tensors if len(tensors) == 1 else [tensors]
    nodes = [{"args": arguments, "kwargs": {}}] if inputs else []
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **options},
        "registered_name": None,
        "name": name,
        "inbound_nodes": nodes,
    }


def write_model(layers: Sequence[Mapping[str, Any]], kind: str = "Functional") -> dict[str, Any]:
    entries = [[x["name"], 0, 0] for x in layers if x["class_name"] == "InputLayer"]
    content = {"name": "net", "layers": list(layers), "input_layers": entries[0] if entries else []}
    return {
        "module": "keras.src.models.functional",
        "class_name": kind,
        "config": content,
        "registered_name": kind,
    }


def write_archive(path: Path, config: Any, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        for name, content in {"model.weights.h5": b"", **members}.items():
            archive.writestr(name, content)
    return path


def make_trace(calls: Sequence[tuple[str, str, Sequence[str]]]) -> Trace:
    """Return a flat trace of these calls: the function, the name, and the names of the calls that it reads; the last is the result."""
    numbers = {"image": 0}
    values = [TracedValue((3, 8, 8, 4), "float", "input", "image")]
    body = []
    for function, name, reads in calls:
        refs = [ValueRef(numbers[x]) for x in reads]
        numbers[name] = len(values)
        values.append(TracedValue((3, 8, 8, 4), "float", "call"))
        weights = {"weights": {"kernel": f"{name}/kernel"}} if "Conv" in function else {}
        arguments = (refs[0],) if len(refs) == 1 else (refs,)
        body.append(FunctionCall(function, arguments, {}, (numbers[name],), name, weights))
    root = ModuleCall("", "Net", (ValueRef(0),), {}, tuple(body), ValueRef(len(values) - 1), ("image",))
    return Trace(3, tuple(values), root, {"image": 0}, {}, ())


def describe_calls(module: ModuleCall) -> list[Any]:
    """Return the paths of the calls in a module, and of the calls in those that are modules, with their classes."""
    return [
        {f"{call.path}: {call.class_name}": describe_calls(call)}
        if isinstance(call, ModuleCall)
        else call.path
        for call in module.body
    ]

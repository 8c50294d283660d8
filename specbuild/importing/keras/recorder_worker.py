"""Walks through the graph of a Keras model, and records its layers and operations as a flat trace.

A model in the model becomes a module; what else belongs together is found later (`folding`). The layers run once, on
zeros, since the sizes inside a model that is used as a layer may be open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from specbuild.importing.keras.handlers.registry import operation_name
from specbuild.importing.trace import FunctionCall, ModuleCall, Origin, Trace, TracedValue, ValueRef
from specbuild.runtimes.worker_jobs import RefusedJob

BATCH = 3  # samples in the recorded pass; the proof uses another number
SEED_STATE = "seed_generator"  # the random state of a dropout layer, which is not a weight


def published_variables(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the variables of a model with their published names: the layer's place in the model, and the name in the layer."""
    for layer in model.layers:
        place = f"{path}{layer.name}"
        if is_model(layer):
            yield from published_variables(layer, f"{place}/")
        else:
            for own, variable in own_variables(layer):
                yield f"{place}/{own}", variable


def own_variables(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a layer with their names in it, such as `kernel` or `query/kernel`."""
    for variable in layer.weights:
        if SEED_STATE not in variable.path:
            _, found, own = variable.path.partition(f"{layer.name}/")
            yield (own if found else variable.name), variable


def is_model(layer: Any) -> bool:
    return isinstance(layer, keras.Model)


def graph_of(model: Any) -> Any:
    return getattr(model, "_functional", None) or model


class GraphRecorder:
    """Runs the layers of a model in order, and records them."""

    def __init__(self) -> None:
        self.values: list[TracedValue] = []
        self.counts: dict[str, int] = {}
        self.wanted: set[int] = set()  # numbers of values to copy
        self.copies: dict[int, Any] = {}

    def add_value(self, tensor: Any, origin: Origin = "call", name: str = "") -> int:
        kind = keras.backend.standardize_dtype(tensor.dtype)
        dtype = "float" if "float" in kind else "bool" if kind == "bool" else "int32"
        self.values.append(TracedValue(tuple(map(int, tensor.shape)), dtype, origin, name))
        number = len(self.values) - 1
        if number in self.wanted:
            self.copies[number] = keras.ops.convert_to_numpy(tensor)
        return number

    def record_graph(
        self, model: Any, given: Sequence[tuple[int, Any]], path: str
    ) -> tuple[list[FunctionCall | ModuleCall], list[tuple[int, Any]]]:
        """Return the calls in a model for inputs with these numbers and tensors, and its results."""
        graph, body = graph_of(model), []
        known = dict(zip((x._keras_history for x in graph.inputs), given, strict=True))
        for operation, node_index in order_nodes(graph):
            node = operation._inbound_nodes[node_index]
            if (operation, node_index, 0) in known:
                continue
            call, results = self.record_node(operation, node, known, path)
            if call is not None:
                body.append(call)
            for i, result in enumerate(results):
                known[operation, node_index, i] = result
        return body, [known[x._keras_history] for x in graph.outputs]

    def record_node(
        self, operation: Any, node: Any, known: dict[Any, tuple[int, Any]], path: str
    ) -> tuple[FunctionCall | ModuleCall | None, list[tuple[int, Any]]]:
        def take(i: int) -> Any:
            return lambda x: known[x._keras_history][i] if isinstance(x, keras.KerasTensor) else x

        given = [x for x in tree.flatten([node.arguments.args, node.arguments.kwargs]) if is_symbolic(x)]
        place = f"{path}{operation.name}"
        self.counts[place] = self.counts.get(place, -1) + 1
        if is_model(operation):
            inner, results = self.record_graph(
                operation, [known[x._keras_history] for x in given], f"{place}/"
            )
            refs = [ValueRef(number) for number, _ in results]
            call = ModuleCall(
                place,
                camel_case(operation.name),
                tuple(ValueRef(known[x._keras_history][0]) for x in given),
                {},
                tuple(inner),
                refs[0] if len(refs) == 1 else refs,
                repetition=self.counts[place],
                is_sequential=isinstance(operation, keras.Sequential),
                has_weights=bool(operation.weights),
            )
            return call, results
        arguments = tree.map_structure(take(1), (node.arguments.args, node.arguments.kwargs))
        outputs = [
            keras.ops.convert_to_tensor(x) for x in tree.flatten(operation(*arguments[0], **arguments[1]))
        ]
        numbers = [self.add_value(x) for x in outputs]
        refs_of = tree.map_structure(
            lambda x: ValueRef(known[x._keras_history][0]) if is_symbolic(x) else x,
            [list(node.arguments.args), dict(node.arguments.kwargs)],
        )
        keywords = {k: v for k, v in refs_of[1].items() if v is not None}
        if keywords.pop("training", False):
            raise RefusedJob(f"{place} runs as in training always", "call it without training=True")
        return self.describe_call(operation, place, refs_of[0], keywords, numbers), list(
            zip(numbers, outputs, strict=True)
        )

    def describe_call(
        self, operation: Any, place: str, arguments: Any, keywords: dict[str, Any], results: list[int]
    ) -> FunctionCall:
        kind = type(operation)
        settings = as_plain(operation.get_config())
        if isinstance(operation, keras.Layer):
            settings["weights"] = {own: f"{place}/{own}" for own, _ in own_variables(operation)}
        return FunctionCall(
            operation_name(kind.__module__, kind.__name__),
            tuple(arguments),
            keywords,
            tuple(results),
            place,
            settings,
        )


def is_symbolic(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def as_plain(value: Any) -> Any:
    """Return a configuration as plain JSON; what is none is left out."""
    if isinstance(value, dict):
        return {str(k): as_plain(x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(x) for x in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def order_nodes(graph: Any) -> list[tuple[Any, int]]:
    """Return the calls in a graph in an order that keeps each branch together: what is read first comes first."""
    ordered: list[tuple[Any, int]] = []
    done: set[tuple[Any, int]] = set()
    waiting = [(x._keras_history[:2], False) for x in reversed(graph.outputs)]
    while waiting:
        key, is_ready = waiting.pop()
        if key in done:
            continue
        if is_ready:
            done.add(key)
            ordered.append(key)
            continue
        waiting.append((key, True))
        node = key[0]._inbound_nodes[key[1]]
        if any(key[0] is x._keras_history.operation for x in graph.inputs):
            continue
        inputs = [x._keras_history[:2] for x in node.input_tensors]
        waiting += [(k, False) for k in reversed(inputs) if k not in done]
    return ordered


def camel_case(name: str) -> str:
    words = [w for w in re.split(r"[\W_]+", name) if w]
    return "".join(w if w != w.lower() else w.capitalize() for w in words) or "Model"


def copy_values(model: Any, inputs: Sequence[Any], wanted: Iterable[int]) -> dict[int, Any]:
    """Run a model as in its trace, on other numbers; return the values that have these numbers in the trace."""
    recorder = GraphRecorder()
    recorder.wanted = set(wanted)
    recorder.record_graph(model, [(recorder.add_value(x, "input"), x) for x in inputs], "")
    return recorder.copies


def record_model(model: Any, names: Sequence[str]) -> Trace:
    """Return the trace of a model whose inputs get these names."""
    recorder = GraphRecorder()
    graph = graph_of(model)
    inputs = [keras.ops.zeros((BATCH, *x.shape[1:]), x.dtype) for x in graph.inputs]
    numbers = [recorder.add_value(x, "input", name) for x, name in zip(inputs, names, strict=True)]
    body, results = recorder.record_graph(model, list(zip(numbers, inputs, strict=True)), "")
    refs = [ValueRef(number) for number, _ in results]
    root = ModuleCall(
        "",
        camel_case(model.name),
        tuple(map(ValueRef, numbers)),
        {},
        tuple(body),
        refs[0] if len(refs) == 1 else refs,
        tuple(names),
        has_weights=True,
    )
    weights = dict(published_variables(model))
    return Trace(
        BATCH,
        tuple(recorder.values),
        root,
        dict(zip(names, numbers, strict=True)),
        {name: tuple(map(int, v.shape)) for name, v in weights.items()},
        tuple(name for name, v in weights.items() if v.trainable),
    )

"""Sets probes in an emitted file as its plan says, and keeps what they see. Imports no framework."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def insert_probes(text: str, probes: list[dict[str, Any]]) -> ast.Module:
    """The file as Python's syntax, with a call around each piece that is a step.

    A probe whose place is not in the file (somebody changed it) is left out.
    """
    tree = ast.parse(text)
    probes_by_node: dict[int, list[dict[str, Any]]] = {}
    for probe in probes:
        found = find_syntax_node(tree, probe["where"])
        if isinstance(found, ast.expr):
            probes_by_node.setdefault(id(found), []).append(probe)
    ProbeInserter(probes_by_node).visit(tree)
    return ast.fix_missing_locations(tree)


def find_syntax_node(tree: ast.AST, path: Iterable[str | int]) -> Any:
    current: Any = tree
    for step in path:
        if isinstance(step, str) and step.startswith(":"):
            definitions = (
                n
                for n in current.body
                if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == step[1:]
            )
            current = next(definitions, None)
        elif isinstance(step, int):
            current = current[step] if isinstance(current, list) and step < len(current) else None
        else:
            current = getattr(current, step, None)
        if current is None:
            return None
    return current


class ProbeInserter(ast.NodeTransformer):
    def __init__(self, probes_by_node: dict[int, list[dict[str, Any]]]):
        self.probes_by_node = probes_by_node

    def visit(self, node: ast.AST) -> Any:
        found: Any = self.generic_visit(node)
        for probe in self.probes_by_node.get(id(node), ()):
            names = ast.Tuple([ast.Constant(key) for key in probe["keys"]], ast.Load())
            called = ast.Name(f"probe_{probe['kind']}", ast.Load())
            found = ast.Call(called, [names, found], [])
        return found


class StepRecorder:
    """What the probes of one file call: `record` is given each value with its path, while it is `active`.

    `members` gives the layers of a row by name, or None for what is no row; `own` finds, outside of all layers,
    the layer that holds the weights; `seen` is called after a layer has been called.
    """

    def __init__(
        self,
        on_value: Callable[[str, Any], None],
        row_members: Callable[[Any], list[tuple[str, Any]] | None],
        find_layer: Callable[[Any], Any] = lambda layer: layer,
        after_call: Callable[[Any, tuple[Any, ...], Any], Any] = lambda layer, args, value: value,
    ):
        self.on_value, self.row_members, self.find_layer, self.after_call = (
            on_value,
            row_members,
            find_layer,
            after_call,
        )
        self.active = False
        self.path: list[str] = []

    @property
    def probe_functions(self) -> dict[str, Any]:
        return {
            "probe_value": self.probe_value,
            "probe_calls": self.probe_calls,
            "probe_each": self.probe_each,
        }

    def probe_value(self, keys: tuple[str, ...], value: Any) -> Any:
        if self.active:
            for key, part in zip(keys, value if len(keys) > 1 else (value,), strict=False):
                if "~" not in key:
                    self.on_value(".".join((*self.path, key)), part)
        return value

    def probe_calls(self, keys: tuple[str, ...], layer: Any) -> Any:
        return (
            self.enter_layer(keys[0], self.find_layer(layer) if not self.path else layer)
            if self.active
            else layer
        )

    def probe_each(self, keys: tuple[str, ...], layers: Iterable[Any]) -> Iterable[Any]:
        return list(self.wrap_members(keys[0], layers)) if self.active else layers

    def wrap_members(self, name: str, layers: Iterable[Any]) -> Iterator[Any]:
        for index, layer in enumerate(layers):
            key = f"{name}.{index}"
            yield self.record_call(
                key, self.enter_layer(key, self.find_layer(layer) if not self.path else layer)
            )

    def record_call(self, key: str, call: Any) -> Any:
        """A call whose value is recorded too."""
        return lambda *args, **kwargs: self.probe_value((key,), call(*args, **kwargs))

    def enter_layer(self, name: str, layer: Any) -> Any:
        """The layer, to be called inside its path; of a row, one member after another."""

        def call(*args: Any, **kwargs: Any) -> Any:
            row = self.row_members(layer)
            if row is not None:
                [x] = args
                for member, inner in row:
                    key = f"{name}.{member}"
                    x = self.record_call(key, self.enter_layer(key, inner))(x)
                return x
            self.path.append(name)
            try:
                return self.after_call(layer, args, layer(*args, **kwargs))
            finally:
                self.path.pop()

        return call

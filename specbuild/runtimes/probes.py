"""Sets probes in an emitted file as its plan says, and keeps what they see. Imports no framework."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def probed(text: str, probes: list[dict[str, Any]]) -> ast.Module:
    """The file as Python's syntax, with a call around each piece that is a step.

    A probe whose place is not in the file (somebody changed it) is left out.
    """
    tree = ast.parse(text)
    marks: dict[int, list[dict[str, Any]]] = {}
    for probe in probes:
        found = node_at(tree, probe["where"])
        if isinstance(found, ast.expr):
            marks.setdefault(id(found), []).append(probe)
    Setter(marks).visit(tree)
    return ast.fix_missing_locations(tree)


def node_at(tree: ast.AST, where: Iterable[str | int]) -> Any:
    found: Any = tree
    for step in where:
        if isinstance(step, str) and step.startswith(":"):
            defined = (
                n for n in found.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == step[1:]
            )
            found = next(defined, None)
        elif isinstance(step, int):
            found = found[step] if isinstance(found, list) and step < len(found) else None
        else:
            found = getattr(found, step, None)
        if found is None:
            return None
    return found


class Setter(ast.NodeTransformer):
    def __init__(self, marks: dict[int, list[dict[str, Any]]]):
        self.marks = marks

    def visit(self, node: ast.AST) -> Any:
        found: Any = self.generic_visit(node)
        for probe in self.marks.get(id(node), ()):
            names = ast.Tuple([ast.Constant(key) for key in probe["keys"]], ast.Load())
            called = ast.Name(f"probe_{probe['kind']}", ast.Load())
            found = ast.Call(called, [names, found], [])
        return found


class Recorder:
    """What the probes of one file call: `record` is given each value with its path, while it is `active`.

    `members` gives the layers of a row by name, or None for what is no row; `own` finds, outside of all layers,
    the layer that holds the weights; `seen` is called after a layer has been called.
    """

    def __init__(
        self,
        record: Callable[[str, Any], None],
        members: Callable[[Any], list[tuple[str, Any]] | None],
        own: Callable[[Any], Any] = lambda layer: layer,
        seen: Callable[[Any, tuple[Any, ...], Any], Any] = lambda layer, args, value: value,
    ):
        self.record, self.members, self.own, self.seen = record, members, own, seen
        self.active = False
        self.path: list[str] = []

    @property
    def scope(self) -> dict[str, Any]:
        return {"probe_value": self.value, "probe_calls": self.calls, "probe_each": self.each}

    def value(self, keys: tuple[str, ...], value: Any) -> Any:
        if self.active:
            for key, part in zip(keys, value if len(keys) > 1 else (value,), strict=False):
                if "~" not in key:
                    self.record(".".join((*self.path, key)), part)
        return value

    def calls(self, keys: tuple[str, ...], layer: Any) -> Any:
        return self.entered(keys[0], self.own(layer) if not self.path else layer) if self.active else layer

    def each(self, keys: tuple[str, ...], layers: Iterable[Any]) -> Iterable[Any]:
        return list(self.row(keys[0], layers)) if self.active else layers

    def row(self, name: str, layers: Iterable[Any]) -> Iterator[Any]:
        for index, layer in enumerate(layers):
            key = f"{name}.{index}"
            yield self.kept(key, self.entered(key, self.own(layer) if not self.path else layer))

    def kept(self, key: str, call: Any) -> Any:
        """A call whose value is recorded too."""
        return lambda *args, **kwargs: self.value((key,), call(*args, **kwargs))

    def entered(self, name: str, layer: Any) -> Any:
        """The layer, to be called inside its path; of a row, one member after another."""

        def call(*args: Any, **kwargs: Any) -> Any:
            row = self.members(layer)
            if row is not None:
                [x] = args
                for member, inner in row:
                    key = f"{name}.{member}"
                    x = self.kept(key, self.entered(key, inner))(x)
                return x
            self.path.append(name)
            try:
                return self.seen(layer, args, layer(*args, **kwargs))
            finally:
                self.path.pop()

        return call

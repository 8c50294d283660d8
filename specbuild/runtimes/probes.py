"""Insert probes into the syntax tree of an emitted file, and record the values of its steps."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def insert_probes(text: str, probes: list[dict[str, Any]]) -> ast.Module:
    """Parse an emitted file, and wrap the expression of each probe into a call of a probe function.

    A probe whose path does not exist, because the file was changed, is left out.
    """
    tree = ast.parse(text)
    probes_by_node: dict[ast.AST, list[dict[str, Any]]] = {}
    for probe in probes:
        node = find_syntax_node(tree, probe["where"])
        if isinstance(node, ast.expr):
            probes_by_node.setdefault(node, []).append(probe)
    ProbeInserter(probes_by_node).visit(tree)
    return ast.fix_missing_locations(tree)


def find_syntax_node(tree: ast.AST, path: Iterable[str | int]) -> Any:
    """Follow a path of a probe plan: `:name` is a class or function, the rest are field names and indices."""
    current: Any = tree
    for part in path:
        if isinstance(part, str) and part.startswith(":"):
            definitions = (n for n in current.body if isinstance(n, ast.ClassDef | ast.FunctionDef))
            current = next((n for n in definitions if n.name == part[1:]), None)
        elif isinstance(part, int):
            current = current[part] if isinstance(current, list) and part < len(current) else None
        else:
            current = getattr(current, part, None)
        if current is None:
            return None
    return current


class ProbeInserter(ast.NodeTransformer):
    """Wraps each node that has probes into calls `probe_KIND(keys, node)`."""

    def __init__(self, probes_by_node: dict[ast.AST, list[dict[str, Any]]]):
        self.probes_by_node = probes_by_node

    def visit(self, node: ast.AST) -> Any:
        wrapped: Any = self.generic_visit(node)
        for probe in self.probes_by_node.get(node, ()):
            keys = ast.Tuple([ast.Constant(key) for key in probe["keys"]], ast.Load())
            function = ast.Name(f"probe_{probe['kind']}", ast.Load())
            wrapped = ast.Call(function, [keys, wrapped], [])
        return wrapped


class StepRecorder:
    """The probe functions of one emitted file.

    While it is `active`, `on_value` is called with the path of each step and its value. The other functions
    depend on the framework. `sequential_layers` returns the names and layers of a Sequential, and None for
    any other layer. `find_layer` gets a layer that the model itself calls, and returns the one that holds the
    weights. `after_call` gets a layer, its arguments and its result, and returns the result to use.
    """

    def __init__(
        self,
        on_value: Callable[[str, Any], None],
        sequential_layers: Callable[[Any], list[tuple[str, Any]] | None],
        find_layer: Callable[[Any], Any] = lambda layer: layer,
        after_call: Callable[[Any, tuple[Any, ...], Any], Any] = lambda layer, args, value: value,
    ):
        self.on_value, self.sequential_layers = on_value, sequential_layers
        self.find_layer, self.after_call = find_layer, after_call
        self.active = False
        self.path: list[str] = []  # the names of the layers that are being called

    @property
    def probe_functions(self) -> dict[str, Any]:
        """The functions by the names that inserted calls use."""
        return {
            "probe_value": self.probe_value,
            "probe_calls": self.probe_calls,
            "probe_each": self.probe_each,
        }

    def probe_value(self, keys: tuple[str, ...], value: Any) -> Any:
        """Record the value of a step, or each of its values, and return it unchanged."""
        if self.active:
            for key, part in zip(keys, value if len(keys) > 1 else (value,), strict=False):
                if "~" not in key:  # such a key is a conversion between layouts, not a step
                    self.on_value(".".join((*self.path, key)), part)
        return value

    def probe_calls(self, keys: tuple[str, ...], layer: Any) -> Any:
        """Return the layer of a step, wrapped so that its own steps are recorded under the step's name."""
        return self.enter_layer(keys[0], self.resolve_layer(layer)) if self.active else layer

    def probe_each(self, keys: tuple[str, ...], layers: Iterable[Any]) -> Iterable[Any]:
        """Return a list of layers that the file calls one after another, each wrapped."""
        return list(self.wrap_layers(keys[0], layers)) if self.active else layers

    def wrap_layers(self, name: str, layers: Iterable[Any]) -> Iterator[Any]:
        for index, layer in enumerate(layers):
            key = f"{name}.{index}"
            yield self.record_call(key, self.enter_layer(key, self.resolve_layer(layer)))

    def resolve_layer(self, layer: Any) -> Any:
        return layer if self.path else self.find_layer(layer)

    def record_call(self, key: str, function: Any) -> Any:
        """Return the function, wrapped so that its result is recorded."""
        return lambda *args, **kwargs: self.probe_value((key,), function(*args, **kwargs))

    def enter_layer(self, name: str, layer: Any) -> Any:
        """Return the layer, wrapped so that `path` ends with `name` during the call.

        The layers of a Sequential are called one by one, and their results recorded.
        """

        def call(*args: Any, **kwargs: Any) -> Any:
            layers = self.sequential_layers(layer)
            if layers is not None:
                [x] = args
                for member, inner in layers:
                    key = f"{name}.{member}"
                    x = self.record_call(key, self.enter_layer(key, inner))(x)
                return x
            self.path.append(name)
            try:
                return self.after_call(layer, args, layer(*args, **kwargs))
            finally:
                self.path.pop()

        return call

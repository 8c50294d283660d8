"""Find the code of each step in an emitted file, so that a worker can record the step's value there.

The compiler knows which node of its code tree computes which step. The tree is printed twice: as it is, and
with a marker call, such as `probe_value(...)`, around each such node. Both texts are parsed with `ast`; the
positions of the markers are the plan. A worker inserts calls at these positions into the syntax tree of the
emitted file, which itself is unchanged.
"""

from __future__ import annotations

import ast
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Call, Code, Expr, Literal, Name, TupleOf
from specbuild.codegen.tree_walk import code_field_names
from specbuild.compiler.compiled_model import CompiledModel
from specbuild.expressions.python_ast import parse_python

PROBE_NAMES = {"value": "probe_value", "calls": "probe_calls", "each": "probe_each"}
PROBE_KINDS = {name: kind for kind, name in PROBE_NAMES.items()}

NodePath = list[str | int]  # `:Class` and `:function`, then field names and list indices of `ast` nodes


class Probe(Struct, frozen=True):
    """An expression of an emitted file that belongs to a step.

    `kind` says what it is: "value", the step's value; "calls", a layer that the step calls; "each", a list of
    layers that are called one after another. `keys` are the step's names in its block, one for each value.
    """

    kind: str
    keys: tuple[str, ...]
    path: NodePath

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "keys": list(self.keys), "where": self.path}


class ProbePlan(Struct, frozen=True):
    """An emitted file without its header: its text, its lowered model, and the probes for its steps."""

    text: str
    top: LoweredBlock
    probes: list[Probe]


def plan_probes(model: CompiledModel) -> ProbePlan:
    """Locate the code of each step in the emitted file of a model."""
    tree = model.module()
    text = print_module(tree)
    stripper = ProbeStripper()
    syntax = stripper.visit(parse_python(print_module(wrap_steps(tree))))
    if ast.dump(syntax) != ast.dump(parse_python(text)):
        raise AssertionError("the markers change the rest of the file")  # a bug of the printer
    paths = {node: path for path, node in locate_syntax_nodes(syntax)}
    probes = [Probe(kind, keys, paths[node]) for node, kind, keys in stripper.marks]
    return ProbePlan(text, model.root, probes)


def wrap_steps(part: Any) -> Any:
    """Copy a code tree with a marker call around each node that has a mark."""
    if isinstance(part, tuple):
        return tuple(wrap_steps(item) for item in part)
    if not isinstance(part, Struct):
        return part
    values = {name: wrap_steps(getattr(part, name)) for name in code_field_names(type(part))}
    wrapped: Any = replace(part, **values)
    for mark in part.list_marks() if isinstance(part, Code) else ():
        names: Expr = TupleOf(tuple(map(Literal, mark.keys)))
        wrapped = Call(Name(PROBE_NAMES[mark.kind]), (names, wrapped))
    return wrapped


class ProbeStripper(ast.NodeTransformer):
    """Removes the marker calls, and collects the nodes that they contained."""

    def __init__(self) -> None:
        self.marks: list[tuple[ast.AST, str, tuple[str, ...]]] = []  # node, kind and keys

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in PROBE_KINDS):
            return node
        names, inner = node.args
        self.marks.append((inner, PROBE_KINDS[node.func.id], ast.literal_eval(names)))
        return inner


def locate_syntax_nodes(node: ast.AST, path: NodePath | None = None) -> list[tuple[NodePath, ast.AST]]:
    """Return all nodes of a syntax tree with their paths.

    Classes and functions are listed by name, not by index.
    """
    path = path or []
    nodes: list[tuple[NodePath, ast.AST]] = [(path, node)]
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            nodes += locate_syntax_nodes(value, [*path, name])
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.ClassDef | ast.FunctionDef):
                    nodes += locate_syntax_nodes(item, [*path, f":{item.name}"])
                elif isinstance(item, ast.AST):
                    nodes += locate_syntax_nodes(item, [*path, name, index])
    return nodes

"""Where each step of a model stands in an emitted file: probes can be set there, and the file stays what it is.

The compiler knows which piece of its code tree is which step. The tree is printed once more with a call around
each such piece; where those calls stand among the rest, seen as Python's syntax, is the plan.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from specbuild.backends.base import Backend
from specbuild.codegen.class_spec import CodeMark
from specbuild.codegen.classes import build_classes
from specbuild.codegen.lowering import LoweredBlock
from specbuild.codegen.printer import print_module as printed
from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.expressions.python_ast import parse_python
from specbuild.ir.graph import Block

PROBE_NAMES = {"value": "probe_value", "calls": "probe_calls", "each": "probe_each"}
PROBE_KINDS = {name: kind for kind, name in PROBE_NAMES.items()}

NodePath = list[str | int]  # names of a class and a function, then fields and indices of Python's syntax


@dataclass(frozen=True)
class Probe:
    """One piece of a file: the `value` of a step, the layer that it `calls`, or the row that it calls `each` of.

    `keys` are the names of the step inside its block, several if it gives several values.
    """

    kind: str
    keys: tuple[str, ...]
    path: NodePath

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "keys": list(self.keys), "where": self.path}


@dataclass(frozen=True)
class ProbePlan:
    """What the compiler knows of one emitted file: its text, its model as steps, where the steps stand."""

    text: str
    top: LoweredBlock
    probes: list[Probe]


def plan_probes(model: Block, backend: Backend) -> ProbePlan:
    """The file of a model without its head, and where its steps stand in it."""
    classes = build_classes(model, backend)
    tree = backend.module_file(classes, model.doc, ())
    marks_by_node: dict[int, list[CodeMark]] = {}
    for mark in (mark for unit in classes for mark in unit.marks):
        marks_by_node.setdefault(id(mark.expr), []).append(mark)
    text = printed(tree)
    probed = parse_python(printed(wrap_steps(tree, marks_by_node)))
    stripper = ProbeStripper()
    bare = stripper.visit(probed)
    if ast.dump(bare) != ast.dump(parse_python(text)):
        raise AssertionError("the file with probes is another one")  # a bug of the printer
    paths = {id(node): where for where, node in locate_nodes(bare)}
    probes = [Probe(kind, keys, paths[id(node)]) for node, kind, keys in stripper.marks]
    return ProbePlan(text, classes[-1].first_instance, probes)


def wrap_steps(part: Any, marks: dict[int, list[CodeMark]]) -> Any:
    """A code tree with a call around each piece that is a step."""
    if isinstance(part, tuple):
        return tuple(wrap_steps(item, marks) for item in part)
    if not is_dataclass(part) or isinstance(part, type):
        return part
    values = {f.name: wrap_steps(getattr(part, f.name), marks) for f in fields(part)}
    done: Any = replace(part, **values)
    for mark in marks.get(id(part), ()):
        step = mark.step
        keys = step.parts or (step.key,) if mark.kind == "value" else (step.node,)
        names: Expr = TupleOf(tuple(map(Literal, keys)))
        done = Call(Name(PROBE_NAMES[mark.kind]), (names, done))
    return done


class ProbeStripper(ast.NodeTransformer):
    """Takes the calls out again, and keeps what they stood around."""

    def __init__(self) -> None:
        self.marks: list[tuple[ast.AST, str, tuple[str, ...]]] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in PROBE_KINDS):
            return node
        names, inner = node.args
        self.marks.append((inner, PROBE_KINDS[node.func.id], ast.literal_eval(names)))
        return inner


def locate_nodes(node: ast.AST, path: NodePath | None = None) -> list[tuple[NodePath, ast.AST]]:
    """Every node under a module with its place."""
    path = path or []
    found: list[tuple[NodePath, ast.AST]] = [(path, node)]
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            found += locate_nodes(value, [*path, name])
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.ClassDef | ast.FunctionDef):
                    found += locate_nodes(item, [*path, f":{item.name}"])
                elif isinstance(item, ast.AST):
                    found += locate_nodes(item, [*path, name, index])
    return found

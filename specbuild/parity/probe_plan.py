"""Where each step of a model stands in an emitted file: probes can be set there, and the file stays what it is.

The compiler knows which piece of its code tree is which step. The tree is printed once more with a call around
each such piece; where those calls stand among the rest, seen as Python's syntax, is the plan.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from specbuild.codegen.class_def import Mark
from specbuild.codegen.classes import units
from specbuild.codegen.lowering import Lowered
from specbuild.codegen.printer import module as printed
from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.expressions.python_ast import parsed
from specbuild.ir.graph import Block

MARKS = {"value": "probe_value", "calls": "probe_calls", "each": "probe_each"}
KINDS = {name: kind for kind, name in MARKS.items()}

Where = list[str | int]  # names of a class and a function, then fields and indices of Python's syntax


@dataclass(frozen=True)
class Probe:
    """One piece of a file: the `value` of a step, the layer that it `calls`, or the row that it calls `each` of.

    `keys` are the names of the step inside its block, several if it gives several values.
    """

    kind: str
    keys: tuple[str, ...]
    where: Where

    def record(self) -> dict[str, Any]:
        return {"kind": self.kind, "keys": list(self.keys), "where": self.where}


@dataclass(frozen=True)
class Plan:
    """What the compiler knows of one emitted file: its text, its model as steps, where the steps stand."""

    text: str
    top: Lowered
    probes: list[Probe]


def plan(model: Block, backend: Any) -> Plan:
    """The file of a model without its head, and where its steps stand in it."""
    made = units(model, backend)
    tree = backend.module(made, model.doc, ())
    marks: dict[int, list[Mark]] = {}
    for mark in (mark for unit in made for mark in unit.marks):
        marks.setdefault(id(mark.expr), []).append(mark)
    text = printed(tree)
    probed = parsed(printed(wrapped(tree, marks)))
    found = Stripped()
    bare = found.visit(probed)
    if ast.dump(bare) != ast.dump(parsed(text)):
        raise AssertionError("the file with probes is another one")  # a bug of the printer
    places = {id(node): where for where, node in walk(bare)}
    probes = [Probe(kind, keys, places[id(node)]) for node, kind, keys in found.marks]
    return Plan(text, made[-1].first, probes)


def wrapped(part: Any, marks: dict[int, list[Mark]]) -> Any:
    """A code tree with a call around each piece that is a step."""
    if isinstance(part, tuple):
        return tuple(wrapped(item, marks) for item in part)
    if not is_dataclass(part) or isinstance(part, type):
        return part
    values = {f.name: wrapped(getattr(part, f.name), marks) for f in fields(part)}
    done: Any = replace(part, **values)
    for mark in marks.get(id(part), ()):
        step = mark.step
        keys = step.parts or (step.key,) if mark.kind == "value" else (step.node,)
        names: Expr = TupleOf(tuple(map(Literal, keys)))
        done = Call(Name(MARKS[mark.kind]), (names, done))
    return done


class Stripped(ast.NodeTransformer):
    """Takes the calls out again, and keeps what they stood around."""

    def __init__(self) -> None:
        self.marks: list[tuple[ast.AST, str, tuple[str, ...]]] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in KINDS):
            return node
        names, inner = node.args
        self.marks.append((inner, KINDS[node.func.id], ast.literal_eval(names)))
        return inner


def walk(node: ast.AST, where: Where | None = None) -> list[tuple[Where, ast.AST]]:
    """Every node under a module with its place."""
    where = where or []
    found: list[tuple[Where, ast.AST]] = [(where, node)]
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            found += walk(value, [*where, name])
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.ClassDef | ast.FunctionDef):
                    found += walk(item, [*where, f":{item.name}"])
                elif isinstance(item, ast.AST):
                    found += walk(item, [*where, name, index])
    return found

"""The value of a table: an expression in the indices of its axes, read once and checked without computing it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from specbuild.expressions import TABLE_FUNCTIONS, WordsError, parse, plain

# What an expression gives: true or false, integers, integers kept as floats (`floor`), or any numbers.
BOOL, INT, WHOLE, REAL = "bool", "int", "whole", "real"
NUMBERS = (INT, WHOLE, REAL)  # each holds those before it
SAME = ("abs", "sign", "minimum", "maximum")  # functions that give what they are given


@dataclass(frozen=True)
class Expression:
    """An expression over axes and over what the block knows: `values` has every part that reads no axis, with its words.

    `faults` has the names that mean nothing in the block; they must be axes.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, WordsError] = field(default_factory=dict)

    @property
    def tree(self) -> ast.expr:
        return parse(self.text, TABLE_FUNCTIONS)

    def known(self, node: ast.expr) -> bool:
        """Whether a part is a value of the block, so that it reads no axis."""
        return written(node) in self.values

    def value(self, node: ast.expr) -> Any:
        """What a known part is, with its words."""
        return self.values[written(node)]

    def axes(self, node: ast.expr | None = None) -> list[str]:
        """The axes that a part reads, as often as it reads them."""
        node = node or self.tree
        if self.known(node):
            return []
        if isinstance(node, ast.Name):
            return [node.id]
        return [axis for part in parts(node) for axis in self.axes(part)]


@lru_cache(maxsize=4096)
def written(node: ast.expr) -> str:
    """A part as text; a table asks for it at every look."""
    return ast.unparse(node)


def read(text: str, evaluate: Callable[[str], Any]) -> Expression:
    """The expression of a text; `evaluate` knows the block's parameters and inputs. Raises WordsError."""
    values: dict[str, Any] = {}
    faults: dict[str, WordsError] = {}

    def visit(node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            for part in parts(node):
                visit(part)
        elif isinstance(node, ast.Name):
            try:
                values[node.id] = evaluate(node.id)
            except WordsError as e:
                faults[node.id] = e
        elif isinstance(node, ast.Attribute | ast.Subscript | ast.Constant):
            values[written(node)] = evaluate(written(node))
        else:
            for part in parts(node):
                visit(part)
            if all(written(part) in values for part in parts(node)):
                values[written(node)] = evaluate(written(node))

    visit(parse(text, TABLE_FUNCTIONS))
    return Expression(text, values, faults)


def parts(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly inside one; a function's name is none."""
    match node:
        case ast.Call(_, args):
            yield from args
        case ast.Attribute() | ast.Name() | ast.Constant() | ast.Subscript():
            return
        case _:
            yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


class Mistyped(Exception):
    """A part that does not fit where it stands: numbers for a condition, or a condition for numbers."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


def kind(e: Expression, node: ast.expr | None = None) -> str:
    """What a part gives, `bool`, `int`, `whole` or `real`; raises Mistyped."""
    node = node or e.tree
    if e.known(node):
        return _of_value(node, plain(e.value(node)))
    match node:
        case ast.Name():
            return INT
        case ast.BinOp(left, operator, right):
            sides = [_number(e, left), _number(e, right)]
            if isinstance(operator, ast.Pow):
                counts = sides[1] == INT and e.known(right) and e.value(right) >= 0
                return sides[0] if counts else REAL
            return REAL if isinstance(operator, ast.Div) else _wider(sides)
        case ast.UnaryOp(ast.Not(), operand):
            return _condition(e, operand)
        case ast.UnaryOp(_, operand):
            return _number(e, operand)
        case ast.BoolOp(_, operands):
            first, *_ = [_condition(e, operand) for operand in operands]  # each is looked at
            return first
        case ast.Compare(left, operators, rights):
            if any(isinstance(operator, ast.In | ast.NotIn) for operator in operators):
                raise Mistyped("a table does not look into lists", "compare with each item")
            for side in (left, *rights):
                _number(e, side)
            return BOOL
        case ast.IfExp(test, body, otherwise):
            return _either(e, test, body, otherwise)
        case ast.Call(ast.Name("where"), [test, body, otherwise]):
            return _either(e, test, body, otherwise)
        case ast.Call(ast.Name(function), arguments):
            sides = [_number(e, argument) for argument in arguments]
            return _wider(sides) if function in SAME else WHOLE if function == "floor" else REAL
    raise Mistyped(f"`{ast.unparse(node)}` is no part of a table")


def real(e: Expression, node: ast.expr | None = None) -> bool:
    """Whether a part computes with more than integers anywhere."""
    node = node or e.tree
    if kind(e, node) in (WHOLE, REAL):
        return True
    return not e.known(node) and any(real(e, part) for part in parts(node))


def uneven(e: Expression, node: ast.expr | None = None) -> bool:
    """Whether a condition that reads no axis chooses between integers and other numbers anywhere."""
    node = node or e.tree
    match node:
        case ast.IfExp(test, body, otherwise) | ast.Call(ast.Name("where"), [test, body, otherwise]):
            kinds = {kind(e, body), kind(e, otherwise)}
            if not e.known(node) and not e.axes(test) and INT in kinds and len(kinds) > 1:
                return True
    return not e.known(node) and any(uneven(e, part) for part in parts(node))


def _of_value(node: ast.expr, value: Any) -> str:
    for type_, name in ((bool, BOOL), (int, INT), (float, REAL)):
        if isinstance(value, type_):
            return name
    raise Mistyped(f"`{ast.unparse(node)}` is not a number", "a table is made of numbers and conditions")


def _number(e: Expression, node: ast.expr) -> str:
    found = kind(e, node)
    if found == BOOL:
        raise Mistyped(
            f"`{ast.unparse(node)}` is true or false, not a number", f"write where({ast.unparse(node)}, 1, 0)"
        )
    return found


def _condition(e: Expression, node: ast.expr) -> str:
    found = kind(e, node)
    if found != BOOL:
        raise Mistyped(f"`{ast.unparse(node)}` is a number, not true or false", "compare it with another")
    return found


def _either(e: Expression, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> str:
    _condition(e, test)
    found = [kind(e, body), kind(e, otherwise)]
    if BOOL in found and found != [BOOL, BOOL]:
        raise Mistyped(f"`{ast.unparse(body)}` and `{ast.unparse(otherwise)}` are not of one kind")
    return BOOL if BOOL in found else _wider(found)


def _wider(kinds: Iterable[str]) -> str:
    return max(kinds, key=NUMBERS.index)

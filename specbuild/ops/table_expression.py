"""The value of a table: an expression in the indices of its axes, read once and checked without computing it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from specbuild.expressions import TABLE_FUNCTIONS, ExpressionError, concrete, parse_tree

# What an expression gives: true or false, integers, integers kept as floats (`floor`), or any numbers.
BOOL, INT, INTEGRAL, REAL = "bool", "int", "whole", "real"
NUMBER_KINDS = (INT, INTEGRAL, REAL)  # each holds those before it
KIND_PRESERVING = ("abs", "sign", "minimum", "maximum")  # functions that give what they are given


@dataclass(frozen=True)
class TableExpression:
    """An expression over axes and over what the block knows: `values` has every part that reads no axis, with its words.

    `faults` has the names that mean nothing in the block; they must be axes.
    """

    text: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    name_errors: Mapping[str, ExpressionError] = field(default_factory=dict)

    @property
    def syntax_tree(self) -> ast.expr:
        return parse_tree(self.text, TABLE_FUNCTIONS)

    def is_constant(self, node: ast.expr) -> bool:
        """Whether a part is a value of the block, so that it reads no axis."""
        return unparse_part(node) in self.constants

    def constant_value(self, node: ast.expr) -> Any:
        """What a known part is, with its words."""
        return self.constants[unparse_part(node)]

    def list_axes(self, node: ast.expr | None = None) -> list[str]:
        """The axes that a part reads, as often as it reads them."""
        node = node or self.syntax_tree
        if self.is_constant(node):
            return []
        if isinstance(node, ast.Name):
            return [node.id]
        return [axis for part in list_parts(node) for axis in self.list_axes(part)]


@lru_cache(maxsize=4096)
def unparse_part(node: ast.expr) -> str:
    """A part as text; a table asks for it at every look."""
    return ast.unparse(node)


def parse_table_expression(text: str, evaluate: Callable[[str], Any]) -> TableExpression:
    """The expression of a text; `evaluate` knows the block's parameters and inputs. Raises WordsError."""
    values: dict[str, Any] = {}
    faults: dict[str, ExpressionError] = {}

    def collect_constants(node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            for part in list_parts(node):
                collect_constants(part)
        elif isinstance(node, ast.Name):
            try:
                values[node.id] = evaluate(node.id)
            except ExpressionError as e:
                faults[node.id] = e
        elif isinstance(node, ast.Attribute | ast.Subscript | ast.Constant):
            values[unparse_part(node)] = evaluate(unparse_part(node))
        else:
            for part in list_parts(node):
                collect_constants(part)
            if all(unparse_part(part) in values for part in list_parts(node)):
                values[unparse_part(node)] = evaluate(unparse_part(node))

    collect_constants(parse_tree(text, TABLE_FUNCTIONS))
    return TableExpression(text, values, faults)


def list_parts(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly inside one; a function's name is none."""
    match node:
        case ast.Call(_, args):
            yield from args
        case ast.Attribute() | ast.Name() | ast.Constant() | ast.Subscript():
            return
        case _:
            yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


class TableTypeError(Exception):
    """A part that does not fit where it stands: numbers for a condition, or a condition for numbers."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


def infer_kind(e: TableExpression, node: ast.expr | None = None) -> str:
    """What a part gives, `bool`, `int`, `whole` or `real`; raises Mistyped."""
    node = node or e.syntax_tree
    if e.is_constant(node):
        return _value_kind(node, concrete(e.constant_value(node)))
    match node:
        case ast.Name():
            return INT
        case ast.BinOp(left, operator, right):
            sides = [_number_kind(e, left), _number_kind(e, right)]
            if isinstance(operator, ast.Pow):
                counts = sides[1] == INT and e.is_constant(right) and e.constant_value(right) >= 0
                return sides[0] if counts else REAL
            return REAL if isinstance(operator, ast.Div) else _widest_kind(sides)
        case ast.UnaryOp(ast.Not(), operand):
            return _condition_kind(e, operand)
        case ast.UnaryOp(_, operand):
            return _number_kind(e, operand)
        case ast.BoolOp(_, operands):
            first, *_ = [_condition_kind(e, operand) for operand in operands]  # each is looked at
            return first
        case ast.Compare(left, operators, rights):
            if any(isinstance(operator, ast.In | ast.NotIn) for operator in operators):
                raise TableTypeError("a table does not look into lists", "compare with each item")
            for side in (left, *rights):
                _number_kind(e, side)
            return BOOL
        case ast.IfExp(test, body, otherwise):
            return _branch_kind(e, test, body, otherwise)
        case ast.Call(ast.Name("where"), [test, body, otherwise]):
            return _branch_kind(e, test, body, otherwise)
        case ast.Call(ast.Name(function), arguments):
            sides = [_number_kind(e, argument) for argument in arguments]
            return (
                _widest_kind(sides)
                if function in KIND_PRESERVING
                else INTEGRAL
                if function == "floor"
                else REAL
            )
    raise TableTypeError(f"`{ast.unparse(node)}` is no part of a table")


def has_floats(e: TableExpression, node: ast.expr | None = None) -> bool:
    """Whether a part computes with more than integers anywhere."""
    node = node or e.syntax_tree
    if infer_kind(e, node) in (INTEGRAL, REAL):
        return True
    return not e.is_constant(node) and any(has_floats(e, part) for part in list_parts(node))


def has_mixed_branches(e: TableExpression, node: ast.expr | None = None) -> bool:
    """Whether a condition that reads no axis chooses between integers and other numbers anywhere."""
    node = node or e.syntax_tree
    match node:
        case ast.IfExp(test, body, otherwise) | ast.Call(ast.Name("where"), [test, body, otherwise]):
            kinds = {infer_kind(e, body), infer_kind(e, otherwise)}
            if not e.is_constant(node) and not e.list_axes(test) and INT in kinds and len(kinds) > 1:
                return True
    return not e.is_constant(node) and any(has_mixed_branches(e, part) for part in list_parts(node))


def _value_kind(node: ast.expr, value: Any) -> str:
    for type_, name in ((bool, BOOL), (int, INT), (float, REAL)):
        if isinstance(value, type_):
            return name
    raise TableTypeError(
        f"`{ast.unparse(node)}` is not a number", "a table is made of numbers and conditions"
    )


def _number_kind(e: TableExpression, node: ast.expr) -> str:
    found = infer_kind(e, node)
    if found == BOOL:
        raise TableTypeError(
            f"`{ast.unparse(node)}` is true or false, not a number", f"write where({ast.unparse(node)}, 1, 0)"
        )
    return found


def _condition_kind(e: TableExpression, node: ast.expr) -> str:
    found = infer_kind(e, node)
    if found != BOOL:
        raise TableTypeError(
            f"`{ast.unparse(node)}` is a number, not true or false", "compare it with another"
        )
    return found


def _branch_kind(e: TableExpression, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> str:
    _condition_kind(e, test)
    found = [infer_kind(e, body), infer_kind(e, otherwise)]
    if BOOL in found and found != [BOOL, BOOL]:
        raise TableTypeError(f"`{ast.unparse(body)}` and `{ast.unparse(otherwise)}` are not of one kind")
    return BOOL if BOOL in found else _widest_kind(found)


def _widest_kind(kinds: Iterable[str]) -> str:
    return max(kinds, key=NUMBER_KINDS.index)

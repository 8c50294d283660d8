"""The expression of a constant table, in the indices of its axes: parsed and type-checked, not evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from specbuild.expressions import TABLE_FUNCTIONS, ExpressionError, concrete, count_table, parse_tree

# The kinds of results: true or false, integers, floats with integral values (`floor`), any numbers.
BOOL, INT, INTEGRAL, REAL = "bool", "int", "whole", "real"
NUMBER_KINDS = (INT, INTEGRAL, REAL)  # each includes those before it
INFINITY_PART = re.compile(r"(?<![\w.)])\.(?:inf|Inf|INF)\b")
INFINITE_PARTS = ("inf", "-inf", "+inf")
# Functions whose result is of the kind of their arguments.
KIND_PRESERVING = ("abs", "sign", "minimum", "maximum")


@dataclass(frozen=True)
class TableExpression:
    """An expression over the table's axes and the names of a block.

    `constants` has the value of every part that reads no axis, by its text. `name_errors` has the names that
    the block does not know: they must be axes.
    """

    text: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    name_errors: Mapping[str, ExpressionError] = field(default_factory=dict)

    @property
    def syntax_tree(self) -> ast.expr:
        return parse_tree(self.text, TABLE_FUNCTIONS)

    def is_constant(self, node: ast.expr) -> bool:
        """Return whether a part reads no axis, so that its value is known."""
        found = self.constancy_of_parts.get(node)
        if found is None:  # the text of a long sum takes long: it is made only if all its parts are constant
            found = not isinstance(node, ast.Call) and all(map(self.is_constant, list_parts(node)))
            found = self.constancy_of_parts[node] = found and unparse_part(node) in self.constants
        return found

    @cached_property
    def constancy_of_parts(self) -> dict[ast.expr, bool]:
        """What `is_constant` found."""
        return {}

    def constant_value(self, node: ast.expr) -> Any:
        """Return the value of a constant part; a number keeps its expression."""
        return self.constants[unparse_part(node)]

    def list_axes(self, node: ast.expr | None = None) -> list[str]:
        """Return the axes that a part (by default, the whole expression) reads, each as often as it is read."""
        node = node or self.syntax_tree
        axes = self.axes_of_parts.get(node)
        if axes is None:
            axes = self.axes_of_parts[node] = self.find_axes(node)
        return axes

    def find_axes(self, node: ast.expr) -> list[str]:
        if self.is_constant(node):
            return []
        if isinstance(node, ast.Name):
            return [node.id]
        return [axis for part in list_parts(node) for axis in self.list_axes(part)]

    @cached_property
    def axes_of_parts(self) -> dict[ast.expr, list[str]]:
        """What `list_axes` found: parts lie in each other, and each is asked for many times."""
        return {}

    @cached_property
    def kinds_of_parts(self) -> dict[ast.expr, str]:
        """What `infer_kind` found."""
        return {}


@lru_cache(maxsize=4096)
def unparse_part(node: ast.expr) -> str:
    """Return the text of a part. Cached, since every lookup in `constants` needs it."""
    return ast.unparse(node)


def parse_table_expression(text: str, evaluate: Callable[[str], Any]) -> TableExpression:
    """Parse the expression of a table; raises ExpressionError. `evaluate` evaluates text in the block.

    Infinity is written `.inf`, as in YAML.
    """
    infinite_text = INFINITY_PART.sub("inf", text)
    if infinite_text != text:
        return parse_table_expression(
            infinite_text, lambda part: float(part) if part in INFINITE_PARTS else evaluate(part)
        )
    constants: dict[str, Any] = {}
    name_errors: dict[str, ExpressionError] = {}

    def collect_constants(node: ast.expr) -> bool:
        """Add the values of the constant parts of a part; returns whether it is one itself."""
        if isinstance(node, ast.Name):
            try:
                constants[node.id] = evaluate(node.id)
            except ExpressionError as error:
                name_errors[node.id] = error
            return node.id in constants
        found = [collect_constants(part) for part in list_parts(node)]
        if isinstance(node, ast.Call) or not all(found):
            return False
        constants[unparse_part(node)] = evaluate(unparse_part(node))
        return True

    tree = parse_tree(text, TABLE_FUNCTIONS)
    count_table(sum(isinstance(node, ast.expr) for node in ast.walk(tree)))
    collect_constants(tree)
    return TableExpression(text, constants, name_errors)


def list_parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the subexpressions directly below a node, which may read axes.

    `x.C` and `depths[0]` have none.
    """
    match node:
        case ast.Call(_, args):
            yield from args
        case ast.Attribute() | ast.Name() | ast.Constant() | ast.Subscript():
            return
        case _:
            yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


class TableTypeError(Exception):
    """A type error in a table's expression, such as a number where a condition is needed."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


def infer_kind(e: TableExpression, node: ast.expr | None = None) -> str:
    """Return the kind of a part's result, one of BOOL, INT, INTEGRAL and REAL; raises TableTypeError."""
    node = node or e.syntax_tree
    kind = e.kinds_of_parts.get(node)
    if kind is None:
        kind = e.kinds_of_parts[node] = find_kind(e, node)
    return kind


def find_kind(e: TableExpression, node: ast.expr) -> str:
    """Return what `infer_kind` returns for a part that it does not know yet."""
    if e.is_constant(node):
        return _value_kind(node, concrete(e.constant_value(node)))
    match node:
        case ast.Name():
            return INT
        case ast.BinOp(left, operator, right):
            sides = [_number_kind(e, left), _number_kind(e, right)]
            if isinstance(operator, ast.Pow):
                is_natural = sides[1] == INT and e.is_constant(right) and e.constant_value(right) >= 0
                return sides[0] if is_natural else REAL
            return REAL if isinstance(operator, ast.Div) else _widest_kind(sides)
        case ast.UnaryOp(ast.Not(), operand):
            return _condition_kind(e, operand)
        case ast.UnaryOp(_, operand):
            return _number_kind(e, operand)
        case ast.BoolOp(_, operands):
            kinds = [_condition_kind(e, operand) for operand in operands]  # checks every operand
            return kinds[0]
        case ast.Compare(left, operators, rights):
            if any(isinstance(operator, ast.In | ast.NotIn) for operator in operators):
                raise TableTypeError("a table cannot use `in` with a list", "compare with each item")
            for side in (left, *rights):
                _number_kind(e, side)
            return BOOL
        case ast.IfExp(test, body, otherwise):
            return _branch_kind(e, test, body, otherwise)
        case ast.Call(ast.Name("where"), [test, body, otherwise]):
            return _branch_kind(e, test, body, otherwise)
        case ast.Call(ast.Name(function), arguments):
            sides = [_number_kind(e, argument) for argument in arguments]
            if function in KIND_PRESERVING:
                return _widest_kind(sides)
            return INTEGRAL if function == "floor" else REAL
    raise TableTypeError(f"`{ast.unparse(node)}` is not allowed in a table")


def has_floats(e: TableExpression, node: ast.expr | None = None) -> bool:
    """Return whether a part, or anything in it, computes with floats."""
    node = node or e.syntax_tree
    if infer_kind(e, node) in (INTEGRAL, REAL):
        return True
    return not e.is_constant(node) and any(has_floats(e, part) for part in list_parts(node))


def has_float_arrays(e: TableExpression, node: ast.expr | None = None) -> bool:
    """Return whether a part that reads an axis computes with floats: more than a choice between two numbers."""
    node = node or e.syntax_tree
    if not e.list_axes(node):
        return False
    match node:
        case ast.IfExp(test, body, otherwise) | ast.Call(ast.Name("where"), [test, body, otherwise]):
            if not e.list_axes(body) and not e.list_axes(otherwise):
                return has_float_arrays(e, test)
        case ast.Compare(left, _, rights):
            if any(infer_kind(e, side) in (INTEGRAL, REAL) for side in (left, *rights)):
                return True
    if infer_kind(e, node) in (INTEGRAL, REAL):
        return True
    return any(has_float_arrays(e, part) for part in list_parts(node))


def has_mixed_branches(e: TableExpression, node: ast.expr | None = None) -> bool:
    """Return whether any condition that reads no axis chooses between integers and other numbers."""
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
        f"`{ast.unparse(node)}` is not a number", "a table consists of numbers and conditions"
    )


def _number_kind(e: TableExpression, node: ast.expr) -> str:
    kind = infer_kind(e, node)
    if kind == BOOL:
        raise TableTypeError(
            f"`{ast.unparse(node)}` is true or false, not a number", f"write where({ast.unparse(node)}, 1, 0)"
        )
    return kind


def _condition_kind(e: TableExpression, node: ast.expr) -> str:
    kind = infer_kind(e, node)
    if kind != BOOL:
        raise TableTypeError(f"`{ast.unparse(node)}` is a number, not true or false", "use a comparison")
    return kind


def _branch_kind(e: TableExpression, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> str:
    _condition_kind(e, test)
    kinds = [infer_kind(e, body), infer_kind(e, otherwise)]
    if BOOL in kinds and kinds != [BOOL, BOOL]:
        bodies = f"`{ast.unparse(body)}` and `{ast.unparse(otherwise)}`"
        raise TableTypeError(f"{bodies} must both be numbers, or both be true or false")
    return BOOL if BOOL in kinds else _widest_kind(kinds)


def _widest_kind(kinds: Iterable[str]) -> str:
    return max(kinds, key=NUMBER_KINDS.index)

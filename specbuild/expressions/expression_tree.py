"""A parsed expression: a syntax tree that nobody changes, with its text and what it reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from msgspec import Struct

from specbuild.expressions.parser import list_operands, parse_tree

LEAF_NODES = (ast.Name, ast.Attribute, ast.Subscript)  # nodes that read the env: a, x.C, depths[0]
# Functions that emitted code can call without an import.
PYTHON_FUNCTIONS = frozenset(("min", "max", "round", "abs", "int", "sum", "len"))
# Those of the module `math`, and a helper: emitted code calls them for numbers, not for sizes that it reads when it runs.
NUMBER_FUNCTIONS = frozenset(("ceil", "floor", "sqrt", "log", "divisible"))

_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


class Expression(Struct, frozen=True, eq=False, dict=True):
    """A parsed expression. Its tree is shared and never changed; expressions of the same text are equal."""

    tree: ast.expr
    text: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names that it reads from the env, in order."""
        return tuple(dict.fromkeys(node.id for node in _walk_nodes(self.tree) if isinstance(node, ast.Name)))

    @cached_property
    def leaves(self) -> tuple[ast.expr, ...]:
        """The nodes that read the env: `a`, `x.C`, `depths[0]`."""
        return tuple(_find_leaves(self.tree))

    @cached_property
    def part_count(self) -> int:
        """How many names, numbers, operators and calls it has."""
        return sum(1 for _ in _walk_nodes(self.tree))

    @cached_property
    def items(self) -> tuple[Expression, ...] | None:
        """The items if the expression is a list; otherwise None."""
        return tuple(map(from_tree, self.tree.elts)) if isinstance(self.tree, ast.List) else None

    @cached_property
    def opposite(self) -> Expression:
        """The opposite of a condition: `a != b` for `a == b`, else `not (...)`."""
        match self.tree:
            case ast.UnaryOp(ast.Not(), operand):
                return from_tree(operand)
            case ast.Compare(left, [operator], rights):
                return from_tree(ast.Compare(left, [_OPPOSITES[type(operator)]()], rights))
        return from_tree(ast.UnaryOp(ast.Not(), self.tree))

    @cached_property
    def can_emit(self) -> bool:
        """Whether emitted code can contain the expression."""
        return self.functions <= PYTHON_FUNCTIONS | NUMBER_FUNCTIONS

    @cached_property
    def can_emit_for_sizes(self) -> bool:
        """Whether emitted code can contain the expression where it reads sizes when it runs."""
        return self.functions <= PYTHON_FUNCTIONS

    @cached_property
    def functions(self) -> frozenset[str]:
        """The functions that it calls."""
        calls = (node.func for node in _walk_nodes(self.tree) if isinstance(node, ast.Call))
        return frozenset(function.id if isinstance(function, ast.Name) else "" for function in calls)

    def item_at(self, index: int) -> Expression:
        """Return the expression of one item of a list: `depths[0]`."""
        tree = ast.Subscript(self.tree, ast.Constant(index), ast.Load())
        is_leaf = isinstance(self.tree, LEAF_NODES)
        return Expression(tree, f"{self.text}[{index}]" if is_leaf else ast.unparse(tree))

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return repr(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return parse_expression, (self.text,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Expression:
        return self


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Parse an expression; raises ExpressionError SB301, SB302 or SB501."""
    return Expression(parse_tree(text), text)


def from_tree(tree: ast.expr) -> Expression:
    """Return the expression of a tree that nobody changes any more."""
    return Expression(tree, ast.unparse(tree))


def presence_of(expression: Expression | None) -> tuple[str, bool] | None:
    """Return the optional input of which an expression says whether it is given: `given(mask)`, `not given(mask)`.

    With it, whether the expression is true if the input is given.
    """
    match expression and expression.tree:
        case ast.Call(ast.Name("given"), [ast.Name(name)]):
            return name, True
        case ast.UnaryOp(ast.Not(), ast.Call(ast.Name("given"), [ast.Name(name)])):
            return name, False
    return None


def referenced_names(text: str) -> frozenset[str]:
    """Return the names that an expression reads, without the functions that it calls."""
    return frozenset(parse_expression(text).names)


def _walk_nodes(node: ast.expr) -> Iterator[ast.expr]:
    yield node
    for part in list_operands(node):
        yield from _walk_nodes(part)


def _find_leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, LEAF_NODES):
        yield node
    else:
        for part in list_operands(node):
            yield from _find_leaves(part)

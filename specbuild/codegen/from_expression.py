"""Turns a parsed expression of a spec, or the text of a type annotation, into a code tree."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from specbuild.codegen.tree import (
    Attribute,
    Call,
    Conditional,
    Expr,
    Index,
    Infix,
    ListOf,
    Literal,
    Name,
    Prefix,
    SliceExpr,
    Star,
    TupleOf,
)
from specbuild.expressions import Expression
from specbuild.expressions.python_ast import parse_python

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.And: "and",
    ast.Or: "or",
    ast.USub: "-",
    ast.Not: "not",
    ast.Invert: "~",
}
_OPPOSITES = {"==": "!=", "!=": "==", "in": "not in", "not in": "in"}


@lru_cache(maxsize=8192)
def expression_code(expression: Expression) -> Expr:
    """Return the code tree of an expression of a spec."""
    return _convert_node(expression.tree)


def parse_code(text: str) -> Expr:
    """Return the code tree of an expression such as `4 * width` or `max(a, b)`.

    Raises ValueError for anything outside the small subset of Python that the tree covers.
    """
    try:
        return _convert_node(parse_python(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"not an expression: {text!r}") from None


def _convert_node(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value) if value is Ellipsis:
            return Name("...")
        case ast.Constant(value) if value is None or isinstance(value, bool | int | float | str):
            return Literal(value)
        case ast.Name(text):
            return Name(text)
        case ast.Attribute(value, name):
            owner = _convert_node(value)
            if isinstance(owner, Name) and owner.text != "...":
                return Name(f"{owner.text}.{name}")
            return Attribute(owner, name)
        case ast.Subscript(value, ast.Tuple(items)) if items:
            return Index(_convert_node(value), tuple(map(_convert_node, items)))
        case ast.Subscript(value, item):
            return Index(_convert_node(value), (_convert_node(item),))
        case ast.Slice(lower, upper, step):
            return SliceExpr(
                *(None if part is None else _convert_node(part) for part in (lower, upper, step))
            )
        case ast.Call(function, args, keywords):
            named = tuple((keyword.arg or "**", _convert_node(keyword.value)) for keyword in keywords)
            return Call(_convert_node(function), tuple(map(_convert_node, args)), named)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return Infix(_OPERATORS[type(operator)], _convert_node(left), _convert_node(right))
        case ast.BoolOp(operator, values):
            return _join_operands(_OPERATORS[type(operator)], [_convert_node(value) for value in values])
        case ast.Compare(left, operators, rights):
            sides = [_convert_node(side) for side in (left, *rights)]
            pairs = zip(operators, sides, sides[1:], strict=False)
            return _join_operands(
                "and", [Infix(_OPERATORS[type(operator)], a, b) for operator, a, b in pairs]
            )
        case ast.UnaryOp(ast.UAdd(), operand):
            return _convert_node(operand)
        case ast.UnaryOp(ast.Not(), operand):
            return negate(_convert_node(operand))
        case ast.UnaryOp(operator, operand):
            return Prefix(_OPERATORS[type(operator)], _convert_node(operand))
        case ast.IfExp(test, then, otherwise):
            return Conditional(_convert_node(test), _convert_node(then), _convert_node(otherwise))
        case ast.List(items):
            return ListOf(tuple(map(_convert_node, items)))
        case ast.Tuple(items):
            return TupleOf(tuple(map(_convert_node, items)))
        case ast.Starred(value):
            return Star(_convert_node(value))
    raise ValueError(f"not part of the expression language: {ast.unparse(node)!r}")


def negate(condition: Expr) -> Expr:
    """Return code for `not condition`: `a != b` for `not a == b`."""
    match condition:
        case Infix("==" | "!=" | "in" | "not in" as operator, left, right):
            return Infix(_OPPOSITES[operator], left, right)
        case Prefix("not", allowed):
            return allowed
    return Prefix("not", condition)


def _join_operands(operator: str, operands: Sequence[Expr]) -> Expr:
    result = operands[0]
    for operand in operands[1:]:
        result = Infix(operator, result, operand)
    return result

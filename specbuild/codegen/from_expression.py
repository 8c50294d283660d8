"""The author's words as code: a Python expression read into a tree of code."""

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
    Slice,
    Star,
    TupleOf,
)
from specbuild.expressions.python_ast import parsed

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


@lru_cache(maxsize=8192)
def from_words(text: str) -> Expr:
    """The tree of a Python expression, `4 * width` or `max(a, b)`; ValueError beyond the small subset."""
    try:
        return _read(parsed(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"not an expression: {text!r}") from None


def _read(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value) if value is Ellipsis:
            return Name("...")
        case ast.Constant(value) if value is None or isinstance(value, bool | int | float | str):
            return Literal(value)
        case ast.Name(text):
            return Name(text)
        case ast.Attribute(value, name):
            of = _read(value)
            if isinstance(of, Name) and of.text != "...":
                return Name(f"{of.text}.{name}")
            return Attribute(of, name)
        case ast.Subscript(value, ast.Tuple(items)) if items:
            return Index(_read(value), tuple(map(_read, items)))
        case ast.Subscript(value, item):
            return Index(_read(value), (_read(item),))
        case ast.Slice(lower, upper, step):
            return Slice(*(None if part is None else _read(part) for part in (lower, upper, step)))
        case ast.Call(function, args, keywords):
            named = tuple((keyword.arg or "**", _read(keyword.value)) for keyword in keywords)
            return Call(_read(function), tuple(map(_read, args)), named)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return Infix(_OPERATORS[type(operator)], _read(left), _read(right))
        case ast.BoolOp(operator, values):
            return _joined(_OPERATORS[type(operator)], [_read(value) for value in values])
        case ast.Compare(left, operators, rights):
            sides = [_read(side) for side in (left, *rights)]
            pairs = zip(operators, sides, sides[1:], strict=False)
            return _joined("and", [Infix(_OPERATORS[type(operator)], a, b) for operator, a, b in pairs])
        case ast.UnaryOp(ast.UAdd(), operand):
            return _read(operand)
        case ast.UnaryOp(operator, operand):
            return Prefix(_OPERATORS[type(operator)], _read(operand))
        case ast.IfExp(test, then, otherwise):
            return Conditional(_read(test), _read(then), _read(otherwise))
        case ast.List(items):
            return ListOf(tuple(map(_read, items)))
        case ast.Tuple(items):
            return TupleOf(tuple(map(_read, items)))
        case ast.Starred(value):
            return Star(_read(value))
    raise ValueError(f"not part of the expression language: {ast.unparse(node)!r}")


def _joined(operator: str, operands: Sequence[Expr]) -> Expr:
    whole = operands[0]
    for operand in operands[1:]:
        whole = Infix(operator, whole, operand)
    return whole

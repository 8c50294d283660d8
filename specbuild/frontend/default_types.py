"""The type of a parameter whose default is an expression of parameters above it: `count: len(depths)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from specbuild.expressions import Expression, ExpressionError, parse_expression

INTEGER_FUNCTIONS = ("len", "ceil", "floor", "round", "int", "divisible")
FLOAT_FUNCTIONS = ("sqrt", "log")
INTEGER_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow)


# YAML reads a list without its first bracket, or without brackets, as text: `3, 4]` and `3, 4`.
NUMBERS = re.compile(r"[-+.\deE]+(?:\s*,\s*[-+.\deE]+)+,?")
PARTNERS = {")": "(", "]": "[", "}": "{"}


def describe_broken_list(text: str) -> str:
    """Return what is wrong with a text that looks like a list or an expression; empty if nothing is wrong."""
    if NUMBERS.fullmatch(text.strip()):
        return "is text with commas, and no list"
    open_brackets: list[str] = []
    for character in text:
        if character in PARTNERS.values():
            open_brackets.append(character)
        elif character in PARTNERS and (not open_brackets or open_brackets.pop() != PARTNERS[character]):
            return f"is text with a `{character}` that no bracket opens"
    return f"is text with a `{open_brackets[-1]}` that is never closed" if open_brackets else ""


def read_default_expression(raw: Any, above: Mapping[str, tuple[str, Any]]) -> Expression | None:
    """Return a default as an expression; None if it is a value or a text.

    A text is an expression if it reads a parameter above, or calls a function. `above` has the type and the
    default of each of these parameters.
    """
    if not isinstance(raw, str):
        return None
    try:
        expression = parse_expression(raw)
    except ExpressionError:
        return None
    has_call = any(isinstance(node, ast.Call) for node in ast.walk(expression.tree))
    return expression if has_call or any(name in above for name in expression.names) else None


def infer_expression_type(node: ast.expr, above: Mapping[str, tuple[str, Any]]) -> str:
    """Return the type of the values of an expression: `number` if this depends on more than types."""
    match node:
        case ast.Name(name):
            return above[name][0] if name in above else "number"
        case ast.List():
            return "list"
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(ast.Not()):
            return "bool"
        case ast.Constant(value):
            return infer_value_type(value)
        case ast.UnaryOp(_, operand):
            return infer_expression_type(operand, above)
        case ast.Subscript(ast.Name(name)) if name in above and isinstance(above[name][1], list):
            return common_type([infer_value_type(item) for item in above[name][1]])
        case ast.IfExp(_, then, otherwise):
            return common_type([infer_expression_type(part, above) for part in (then, otherwise)])
        case ast.Call(ast.Name(name)) if name in INTEGER_FUNCTIONS:
            return "int"
        case ast.Call(ast.Name(name)) if name in FLOAT_FUNCTIONS:
            return "float"
        case ast.Call(_, [ast.Name(name)]) if name in above and isinstance(above[name][1], list):
            return common_type([infer_value_type(item) for item in above[name][1]])
        case ast.Call(_, arguments):
            return common_type([infer_expression_type(argument, above) for argument in arguments])
        case ast.BinOp(left, operator, right) if isinstance(operator, INTEGER_OPERATORS):
            types = [infer_expression_type(part, above) for part in (left, right)]
            return "int" if types == ["int", "int"] else "number"
    return "number"


def infer_value_type(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", str: "str", list: "list"}.get(type(value), "number")


def common_type(types: list[str]) -> str:
    """Return the type that all of these have; `number` if they differ or are no types of single values."""
    return types[0] if types and set(types) == {types[0]} and types[0] != "list" else "number"

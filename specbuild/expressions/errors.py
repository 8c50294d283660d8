"""Errors of expressions. They have no file and line yet: the caller adds the location."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from specbuild.diagnostics.errors import make_printable
from specbuild.diagnostics.suggestions import suggest_name

PADDING_WORDS = ("same", "valid", "causal", "tf_same")  # some write them in capitals
MAX_QUOTED_CHARACTERS = 60  # longer expressions are cut in messages


class ExpressionError(Exception):
    """An invalid expression: an error code of `specbuild.diagnostics.codes`, a message, and a hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return self.message


def quote_expression(text: str) -> str:
    """Return the expression in backquotes, shortened, with control characters escaped."""
    return f"`{make_printable(text, MAX_QUOTED_CHARACTERS)}`"


def quote_node(node: ast.expr) -> str:
    """Return the source text of a syntax tree in backquotes."""
    return quote_expression(ast.unparse(node))


def unknown_error(message: str, name: str, known: Iterable[str]) -> ExpressionError:
    """SB302 for an unknown name. The hint is the closest known name, or else all known names."""
    return ExpressionError("SB302", message, suggest_name(name, sorted(known), "available:"))


def unknown_name_error(name: str, known: Iterable[str]) -> ExpressionError:
    error = unknown_error(f"nothing is named {name!r} here", name, known)
    if name.lower() in PADDING_WORDS and name != name.lower():
        return ExpressionError(error.code, error.message, f"write `{name.lower()}`")
    if name in ("params", "self", "cfg", "config", "args", "hparams"):
        hint = f"a parameter is written by its own name; {error.hint}"
        return ExpressionError(error.code, error.message, hint)
    return error


def too_large_error(text: str) -> ExpressionError:
    return ExpressionError("SB501", f"{text} is too large a number", "the limit of integers is 2^53")


def wrong_kind_error(node: ast.expr, value: object, expected: str) -> ExpressionError:
    return ExpressionError("SB305", f"{quote_node(node)} is {describe_kind(value)}, not {expected}")


def describe_kind(value: object) -> str:
    """Return the kind of a value as error messages name it, such as "a number"."""
    if isinstance(value, bool):
        return "true or false"
    names = {
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        tuple: "a list",
        type(None): "none",
    }
    return next((name for type_, name in names.items() if isinstance(value, type_)), "not a value")

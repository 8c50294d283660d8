"""What an expression is refused with. Nothing here knows a file or a line: the caller adds the place."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from specbuild.diagnostics.errors import closest_match, make_printable

MAX_QUOTED_CHARACTERS = 60  # characters of an expression that a message repeats
MAX_LISTED_NAMES = 12  # names that a hint lists


class ExpressionError(Exception):
    """What is wrong with an expression, and what to do about it; the codes are those of `specbuild.diagnostics.codes`."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return self.message


def quote_expression(text: str) -> str:
    """An expression as a message shows it: short, and inert in a terminal."""
    return f"`{make_printable(text, MAX_QUOTED_CHARACTERS)}`"


def quote_node(node: ast.expr) -> str:
    """The expression of a tree, quoted."""
    return quote_expression(ast.unparse(node))


def unknown_error(message: str, name: str, known: Iterable[str]) -> ExpressionError:
    """A name that means nothing: the hint is the one that was probably meant, or else all there are."""
    known = sorted(known)
    guess = closest_match(name, known)
    there_are = (
        f"there is {', '.join(known[:MAX_LISTED_NAMES])}{' ...' if len(known) > MAX_LISTED_NAMES else ''}"
        if known
        else ""
    )
    return ExpressionError("SB302", message, f"did you mean {guess!r}?" if guess else there_are)


def unknown_name_error(name: str, known: Iterable[str]) -> ExpressionError:
    return unknown_error(f"nothing is named {name!r} here", name, known)


def too_large_error(text: str) -> ExpressionError:
    return ExpressionError("SB501", f"{text} is too large a number", "whole numbers go to 2^53")


def wrong_kind_error(node: ast.expr, value: object, expected: str) -> ExpressionError:
    return ExpressionError("SB305", f"{quote_node(node)} is {describe_kind(value)}, not {expected}")


def describe_kind(value: object) -> str:
    """What sort of thing a value is, in the words of an author."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        tuple: "a list",
        type(None): "none",
    }
    return next((name for sort, name in kinds.items() if isinstance(value, sort)), "no value")

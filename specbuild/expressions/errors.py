"""What an expression is refused with. Nothing here knows a file or a line: the caller adds the place."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from specbuild.diagnostics.errors import nearest, printable

QUOTED = 60  # characters of an expression that a message repeats
LISTED = 12  # names that a hint lists


class WordsError(Exception):
    """What is wrong with an expression, and what to do about it; the codes are those of `specbuild.diagnostics.codes`."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return self.message


def quote(text: str) -> str:
    """An expression as a message shows it: short, and inert in a terminal."""
    return f"`{printable(text, QUOTED)}`"


def source(node: ast.expr) -> str:
    """The expression of a tree, quoted."""
    return quote(ast.unparse(node))


def unknown(what: str, name: str, known: Iterable[str]) -> WordsError:
    """A name that means nothing: the hint is the one that was probably meant, or else all there are."""
    known = sorted(known)
    guess = nearest(name, known)
    there_are = (
        f"there is {', '.join(known[:LISTED])}{' ...' if len(known) > LISTED else ''}" if known else ""
    )
    return WordsError("SB302", what, f"did you mean {guess!r}?" if guess else there_are)


def unknown_name(name: str, known: Iterable[str]) -> WordsError:
    return unknown(f"nothing is named {name!r} here", name, known)


def too_large(text: str) -> WordsError:
    return WordsError("SB501", f"{text} is too large a number", "whole numbers go to 2^53")


def wrong_kind(node: ast.expr, value: object, wanted: str) -> WordsError:
    return WordsError("SB305", f"{source(node)} is {kind(value)}, not {wanted}")


def kind(value: object) -> str:
    """What sort of thing a value is, in the words of an author."""
    if isinstance(value, bool):
        return "true or false"
    sorts = {
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        tuple: "a list",
        type(None): "none",
    }
    return next((name for sort, name in sorts.items() if isinstance(value, sort)), "no value")

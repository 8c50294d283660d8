"""What an expression is refused with. Nothing here knows a file or a line: the caller adds the place.

SB301 not of the language · SB302 unknown name · SB303 no value · SB304 unknown axis ·
SB305 wrong kind of value · SB306 unknown function, or its arguments · SB307 no such item ·
SB501 too long, or nested too deep · SB502 number too large · SB503 list too long · SB504 text too long
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable

QUOTED = 60  # characters of an expression that a message repeats
LISTED = 12  # names that a hint lists


class WordsError(Exception):
    """What is wrong with an expression, and what to do about it."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return self.message


def quote(text: str) -> str:
    """`text` as a message shows it: short, and inert in a terminal."""
    short = text if len(text) <= QUOTED else text[: QUOTED - 3] + "..."
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in short)
    return f"`{''.join(shown)}`"


def source(node: ast.expr) -> str:
    """The expression below `node`, quoted."""
    return quote(ast.unparse(node))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint: the known name most like `name`, or else what there is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    if not known:
        return None
    return f"there is {', '.join(known[:LISTED])}{' ...' if len(known) > LISTED else ''}"


def unknown_name(name: str, known: Iterable[str]) -> WordsError:
    return WordsError("SB302", f"nothing is named {quote(name)} here", nearest(name, known))


def too_large(text: str) -> WordsError:
    return WordsError("SB502", f"{text} is too large a number", "whole numbers go to 2^53")


def wrong_kind(node: ast.expr, value: object, wanted: str) -> WordsError:
    return WordsError("SB305", f"{source(node)} is {kind(value)}, not {wanted}")


def kind(value: object) -> str:
    """What sort of thing a value is, in the words of an author."""
    sorts = {bool: "a bool", str: "text", list: "a list", tuple: "a list", type(None): "none"}
    return sorts.get(
        type(value), "a number" if isinstance(value, (int, float)) else "no value to compute with"
    )

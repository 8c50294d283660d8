"""Errors in a spec, with their locations: the only exceptions that a user of specbuild sees.

An error has a stable code (explained in `specbuild.diagnostics.codes`), a message, the location of the
mistake, and a hint. The output is safe to print: quoted text has a maximum length, and control and
bidirectional characters are escaped.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from msgspec import Struct

from specbuild.diagnostics.codes import CODES, Explanation

__all__ = [
    "CODES",
    "Explanation",
    "Location",
    "SpecError",
    "SpecErrors",
    "closest_match",
    "format_errors",
    "make_printable",
]

ErrorFormat = Literal["text", "json", "github"]

MAX_REPORTED = 50
MAX_QUOTED = 200
MAX_MESSAGE = 2_000
QUOTE = re.compile(rf"""(['"`])(?:(?!\1)[^\\]|\\.){{{MAX_QUOTED},}}\1""", re.DOTALL)
SNIPPET_CELLS = 160
TAB_CELLS = 4


class Location(Struct, frozen=True):
    """A location in a file: line and column in characters, both counted from 1, and the text of the line."""

    file: str
    line: int
    column: int
    text: str


class SpecError(Exception):
    """One error. `trail` lists the block instances that contain its location, innermost first."""

    def __init__(
        self,
        code: str,
        message: str,
        location: Location | None = None,
        hint: str = "",
        trail: tuple[str, ...] = (),
    ) -> None:
        message = shorten_quotes(message)
        super().__init__(code, message, location, hint, trail)  # all arguments, so that pickle works
        self.code = code
        self.message = message
        self.location = location
        self.hint = hint
        self.trail = tuple(trail)

    def __str__(self) -> str:
        return _format_text(self)


class SpecErrors(Exception):
    """Several errors in the order in which they were found: the first 50, and the number of omitted ones."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        all_errors = tuple(errors)
        super().__init__(all_errors)
        self.errors = all_errors[:MAX_REPORTED]
        self.omitted_count = len(all_errors) - len(self.errors)

    def __str__(self) -> str:
        return format_errors(self)


def format_errors(error: SpecError | SpecErrors, *, format: ErrorFormat = "text") -> str:
    """Format errors as plain text (like a compiler), as one JSON array, or as GitHub workflow commands."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    omitted_count = error.omitted_count if isinstance(error, SpecErrors) else 0
    if format == "json":
        return json.dumps([_error_record(e) for e in errors], indent=2)
    if format == "github":
        return "\n".join(_format_annotation(e) for e in errors)
    parts = [_format_text(e) for e in errors]
    if omitted_count:
        parts.append(f"and {omitted_count} more")
    return "\n\n".join(parts)


def shorten_quotes(message: str) -> str:
    """Cut the quoted parts of a message: it shows little of a file that is no spec."""
    return QUOTE.sub(lambda quote: f"{quote[0][: MAX_QUOTED - 2]}…{quote[1]}", message)


def make_printable(text: str, limit: int = MAX_QUOTED) -> str:
    """Return `text` on one line, safe for any terminal: escaped as by `repr`, at most `limit` characters."""
    escaped = "".join(map(_escape_character, text[: limit + 1]))
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is most likely a misspelling of, or None.

    Words that differ by one insertion, deletion, replacement or swap of neighbouring letters come first,
    unless they have no letter in common. Then come words that differ only in case or spacing, then the word
    that difflib finds closest.
    """
    if not 0 < len(word) <= MAX_QUOTED:
        return None
    candidates = [k for k in dict.fromkeys(known) if k != word]
    typos = [k for k in candidates if is_one_typo(word, k)]
    if typos:
        return max(typos, key=lambda k: difflib.SequenceMatcher(None, word, k).ratio())
    by_normalized = {normalize_word(k): k for k in reversed(candidates)}
    close = difflib.get_close_matches(normalize_word(word), by_normalized, n=1, cutoff=0.65)
    return by_normalized[close[0]] if close else None


def is_one_typo(word: str, known: str) -> bool:
    """Return whether one edit turns `known` into `word` and keeps at least one letter."""
    if abs(len(word) - len(known)) > 1 or len(word) == len(known) == 1:
        return False
    start = 0
    while start < min(len(word), len(known)) and word[start] == known[start]:
        start += 1
    a, b = word[start:], known[start:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1])


def normalize_word(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _escape_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _format_text(error: SpecError) -> str:
    lines = [f"error[{error.code}]: {make_printable(error.message, MAX_MESSAGE)}"]
    margin = " "
    if error.location:
        location = error.location
        margin = " " * len(str(location.line))
        lines.append(
            f"{margin}--> {make_printable(location.file, MAX_MESSAGE)}:{location.line}:{location.column}"
        )
        if location.text.strip():
            snippet, caret = _format_snippet(location)
            lines += [f"{margin} |", f"{location.line} | {snippet}", f"{margin} | {' ' * caret}^"]
    lines += [f"{margin} = {make_printable(step, MAX_MESSAGE)}" for step in error.trail]
    if error.hint:
        lines.append(f"{margin} = help: {make_printable(error.hint, MAX_MESSAGE)}")
    return "\n".join(lines)


def _format_snippet(location: Location) -> tuple[str, int]:
    """Return the part of the line around the column, and the number of terminal cells before the caret."""
    index = min(location.column - 1, len(location.text))
    before, cut_before = _fit_cells(
        reversed(location.text[max(0, index - SNIPPET_CELLS) : index]), SNIPPET_CELLS // 2
    )
    left = "".join(reversed(before))
    if cut_before or index > SNIPPET_CELLS:
        left = "…" + left
    after, cut_after = _fit_cells(
        iter(location.text[index : index + SNIPPET_CELLS]), SNIPPET_CELLS - max(_count_cells(left), len(left))
    )
    right = "".join(after)
    if cut_after or len(location.text) - index > SNIPPET_CELLS:
        right += "…"
    return left + right, _count_cells(left)


def _fit_cells(characters: Iterator[str], cells: int) -> tuple[list[str], bool]:
    """Return the escaped characters that fit into `cells` terminal cells, and whether any did not fit."""
    pieces: list[str] = []
    for character in characters:
        piece = " " * TAB_CELLS if character == "\t" else _escape_character(character)
        cells -= max(_count_cells(piece), 1)
        if cells < 0:
            return pieces, True
        pieces.append(piece)
    return pieces, False


def _count_cells(text: str) -> int:
    """Return the width of text in terminal cells: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me") else 2 if _is_wide(c) else 1
        for c in text
    )


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _error_record(error: SpecError) -> dict[str, Any]:
    location = error.location
    return {
        "code": error.code,
        "message": make_printable(error.message, MAX_MESSAGE),
        "file": make_printable(location.file, MAX_MESSAGE) if location else None,
        "line": location.line if location else None,
        "column": location.column if location else None,
        "text": make_printable(location.text) if location else None,
        "hint": make_printable(error.hint, MAX_MESSAGE),
        "trail": [make_printable(step, MAX_MESSAGE) for step in error.trail],
    }


def _format_annotation(error: SpecError) -> str:
    """Format a GitHub workflow command, which the runner shows as an annotation on the line."""
    record = _error_record(error)
    properties = {
        "file": record["file"],
        "line": record["line"],
        "col": record["column"],
        "title": error.code,
    }
    property_list = ",".join(
        f"{name}={_escape_property(str(value))}" for name, value in properties.items() if value is not None
    )
    hint = [f"help: {record['hint']}"] if error.hint else []
    return f"::error {property_list}::" + "%0A".join(
        _escape_message(s) for s in [record["message"], *record["trail"], *hint]
    )


def _escape_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")

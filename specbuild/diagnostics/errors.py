"""What went wrong, and where: the only exceptions that a user of a spec ever sees.

A fault has a stable code (explained in `specbuild.diagnostics.codes`), a message, the place of the mistake itself,
and what to do. Everything shown is inert: quoted text is bounded, control and bidirectional characters
are escaped.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

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
SNIPPET_CELLS = 160
TAB_CELLS = 4


@dataclass(frozen=True)
class Location:
    """A place in a file: 1-based line, 1-based column in characters, and the text of that line."""

    file: str
    line: int
    column: int
    text: str


class SpecError(Exception):
    """One fault. `trail` lists the block instances through which it was reached, innermost first."""

    def __init__(
        self,
        code: str,
        message: str,
        location: Location | None = None,
        hint: str = "",
        trail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code, message, location, hint, trail)  # all of it, so that the exception pickles
        self.code = code
        self.message = message
        self.location = location
        self.hint = hint
        self.trail = tuple(trail)

    def __str__(self) -> str:
        return _format_text(self)


class SpecErrors(Exception):
    """Several faults at once, in the order found: the first 50, and how many were left out."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        found = tuple(errors)
        super().__init__(found)
        self.errors = found[:MAX_REPORTED]
        self.omitted_count = len(found) - len(self.errors)

    def __str__(self) -> str:
        return format_errors(self)


def format_errors(error: SpecError | SpecErrors, *, format: ErrorFormat = "text") -> str:
    """The fault as plain text (like a compiler's), as one JSON array, or as GitHub workflow commands."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    left_out = error.omitted_count if isinstance(error, SpecErrors) else 0
    if format == "json":
        return json.dumps([_error_record(e) for e in errors], indent=2)
    if format == "github":
        return "\n".join(_format_annotation(e) for e in errors)
    parts = [_format_text(e) for e in errors]
    if left_out:
        parts.append(f"and {left_out} more")
    return "\n\n".join(parts)


def make_printable(text: str, limit: int = MAX_QUOTED) -> str:
    """`text` on one line, safe for any terminal: escaped as by repr, and cut at `limit` characters."""
    shown = "".join(map(_escape_character, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, or None if nothing is near.

    Any single insertion, deletion, replacement or swap of neighbours is recognised, except where nothing
    is left to recognise (a one-letter word replaced). Then another case or spacing, then what difflib
    finds close.
    """
    if not 0 < len(word) <= MAX_QUOTED:
        return None
    candidates = [k for k in dict.fromkeys(known) if k != word]
    typos = [k for k in candidates if _is_one_typo(word, k)]
    if typos:
        return max(typos, key=lambda k: difflib.SequenceMatcher(None, word, k).ratio())
    by_skeleton = {_normalize_word(k): k for k in reversed(candidates)}
    close = difflib.get_close_matches(_normalize_word(word), by_skeleton, n=1, cutoff=0.65)
    return by_skeleton[close[0]] if close else None


def _is_one_typo(word: str, known: str) -> bool:
    """Whether one edit turns `known` into `word` and at least one letter survives."""
    if abs(len(word) - len(known)) > 1 or len(word) == len(known) == 1:
        return False
    start = 0
    while start < min(len(word), len(known)) and word[start] == known[start]:
        start += 1
    a, b = word[start:], known[start:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1])


def _normalize_word(word: str) -> str:
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
    """The source line, windowed around the column, and the number of terminal cells left of the caret."""
    at = min(location.column - 1, len(location.text))
    before, cut_before = _fit_cells(
        reversed(location.text[max(0, at - SNIPPET_CELLS) : at]), SNIPPET_CELLS // 2
    )
    left = "".join(reversed(before))
    if cut_before or at > SNIPPET_CELLS:
        left = "…" + left
    after, cut_after = _fit_cells(
        iter(location.text[at : at + SNIPPET_CELLS]), SNIPPET_CELLS - max(_count_cells(left), len(left))
    )
    right = "".join(after)
    if cut_after or len(location.text) - at > SNIPPET_CELLS:
        right += "…"
    return left + right, _count_cells(left)


def _fit_cells(characters: Iterator[str], cells: int) -> tuple[list[str], bool]:
    """As many characters, made visible, as fit into so many cells; and whether any was left."""
    shown: list[str] = []
    for character in characters:
        piece = " " * TAB_CELLS if character == "\t" else _escape_character(character)
        cells -= max(_count_cells(piece), 1)
        if cells < 0:
            return shown, True
        shown.append(piece)
    return shown, False


def _count_cells(text: str) -> int:
    """Terminal cells that visible text takes: two for a wide character, none for a combining one."""
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
    """A GitHub workflow command; the runner turns it into an annotation on the line."""
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

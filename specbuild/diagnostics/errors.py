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

__all__ = ["CODES", "Explanation", "Place", "SpecError", "SpecErrors", "nearest", "printable", "render"]

Format = Literal["text", "json", "github"]

MOST_REPORTED = 50
MOST_QUOTED = 200
MOST_SAID = 2_000
SNIPPET_CELLS = 160
TAB_CELLS = 4


@dataclass(frozen=True)
class Place:
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
        place: Place | None = None,
        hint: str = "",
        trail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code, message, place, hint, trail)  # all of it, so that the exception pickles
        self.code = code
        self.message = message
        self.place = place
        self.hint = hint
        self.trail = tuple(trail)

    def __str__(self) -> str:
        return _text(self)


class SpecErrors(Exception):
    """Several faults at once, in the order found: the first 50, and how many were left out."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        found = tuple(errors)
        super().__init__(found)
        self.errors = found[:MOST_REPORTED]
        self.left_out = len(found) - len(self.errors)

    def __str__(self) -> str:
        return render(self)


def render(error: SpecError | SpecErrors, *, format: Format = "text") -> str:
    """The fault as plain text (like a compiler's), as one JSON array, or as GitHub workflow commands."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    left_out = error.left_out if isinstance(error, SpecErrors) else 0
    if format == "json":
        return json.dumps([_record(e) for e in errors], indent=2)
    if format == "github":
        return "\n".join(_annotation(e) for e in errors)
    parts = [_text(e) for e in errors]
    if left_out:
        parts.append(f"and {left_out} more")
    return "\n\n".join(parts)


def printable(text: str, limit: int = MOST_QUOTED) -> str:
    """`text` on one line, safe for any terminal: escaped as by repr, and cut at `limit` characters."""
    shown = "".join(map(_visible, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, or None if nothing is near.

    Any single insertion, deletion, replacement or swap of neighbours is recognised, except where nothing
    is left to recognise (a one-letter word replaced). Then another case or spacing, then what difflib
    finds close.
    """
    if not 0 < len(word) <= MOST_QUOTED:
        return None
    candidates = [k for k in dict.fromkeys(known) if k != word]
    typos = [k for k in candidates if _one_typo(word, k)]
    if typos:
        return max(typos, key=lambda k: difflib.SequenceMatcher(None, word, k).ratio())
    by_skeleton = {_skeleton(k): k for k in reversed(candidates)}
    close = difflib.get_close_matches(_skeleton(word), by_skeleton, n=1, cutoff=0.65)
    return by_skeleton[close[0]] if close else None


def _one_typo(word: str, known: str) -> bool:
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


def _skeleton(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _text(error: SpecError) -> str:
    lines = [f"error[{error.code}]: {printable(error.message, MOST_SAID)}"]
    margin = " "
    if error.place:
        place = error.place
        margin = " " * len(str(place.line))
        lines.append(f"{margin}--> {printable(place.file, MOST_SAID)}:{place.line}:{place.column}")
        if place.text.strip():
            snippet, caret = _snippet(place)
            lines += [f"{margin} |", f"{place.line} | {snippet}", f"{margin} | {' ' * caret}^"]
    lines += [f"{margin} = {printable(step, MOST_SAID)}" for step in error.trail]
    if error.hint:
        lines.append(f"{margin} = help: {printable(error.hint, MOST_SAID)}")
    return "\n".join(lines)


def _snippet(place: Place) -> tuple[str, int]:
    """The source line, windowed around the column, and the number of terminal cells left of the caret."""
    at = min(place.column - 1, len(place.text))
    before, cut_before = _fit(reversed(place.text[max(0, at - SNIPPET_CELLS) : at]), SNIPPET_CELLS // 2)
    left = "".join(reversed(before))
    if cut_before or at > SNIPPET_CELLS:
        left = "…" + left
    after, cut_after = _fit(
        iter(place.text[at : at + SNIPPET_CELLS]), SNIPPET_CELLS - max(_cells(left), len(left))
    )
    right = "".join(after)
    if cut_after or len(place.text) - at > SNIPPET_CELLS:
        right += "…"
    return left + right, _cells(left)


def _fit(characters: Iterator[str], cells: int) -> tuple[list[str], bool]:
    """As many characters, made visible, as fit into so many cells; and whether any was left."""
    shown: list[str] = []
    for character in characters:
        piece = " " * TAB_CELLS if character == "\t" else _visible(character)
        cells -= max(_cells(piece), 1)
        if cells < 0:
            return shown, True
        shown.append(piece)
    return shown, False


def _cells(text: str) -> int:
    """Terminal cells that visible text takes: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me") else 2 if _wide(c) else 1
        for c in text
    )


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _record(error: SpecError) -> dict[str, Any]:
    place = error.place
    return {
        "code": error.code,
        "message": printable(error.message, MOST_SAID),
        "file": printable(place.file, MOST_SAID) if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "text": printable(place.text) if place else None,
        "hint": printable(error.hint, MOST_SAID),
        "trail": [printable(step, MOST_SAID) for step in error.trail],
    }


def _annotation(error: SpecError) -> str:
    """A GitHub workflow command; the runner turns it into an annotation on the line."""
    record = _record(error)
    properties = {
        "file": record["file"],
        "line": record["line"],
        "col": record["column"],
        "title": error.code,
    }
    told = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    hint = [f"help: {record['hint']}"] if error.hint else []
    return f"::error {told}::" + "%0A".join(_escaped(s) for s in [record["message"], *record["trail"], *hint])


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")

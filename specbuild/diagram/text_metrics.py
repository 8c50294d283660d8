"""The width of text, from the advance widths of the bundled font. Layout reads no font file."""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path

FONTS = Path(__file__).with_name("fonts")
UNKNOWN_WIDTH = 640  # of 1000: a character that the bundled font lacks
WIDE_WIDTH = 1000  # such a character in an East Asian script


@cache
def advance_widths(bold: bool) -> dict[str, int]:
    """Return the width of each character in thousandths of the font size."""
    tables: dict[str, dict[str, int]] = json.loads((FONTS / "widths.json").read_text(encoding="utf-8"))
    return tables["bold" if bold else "regular"]


def measure_text(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text in points."""
    known = advance_widths(bold)
    return sum(known.get(c) or fallback_width(c) for c in text) * size / 1000


def fallback_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return WIDE_WIDTH if unicodedata.east_asian_width(character) in "WF" else UNKNOWN_WIDTH


def display_text(text: str, limit: int = 60) -> str:
    """Return text on one line, cut to `limit` characters.

    Control characters and bidirectional marks are escaped.
    """
    line = "".join(
        c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode("ascii")
        for c in text[: limit + 1]
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"

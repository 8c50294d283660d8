"""How wide text is: the advance widths of the bundled font, so that layout needs no font at all."""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path

FONTS = Path(__file__).with_name("fonts")
UNKNOWN_WIDTH = 640  # of 1000: a character that the bundled font lacks
WIDE_WIDTH = 1000


@cache
def advance_widths(bold: bool) -> dict[str, int]:
    """Thousandths of the size, for each character."""
    tables: dict[str, dict[str, int]] = json.loads((FONTS / "widths.json").read_text(encoding="utf-8"))
    return tables["bold" if bold else "regular"]


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Points that a text takes."""
    known = advance_widths(bold)
    return sum(known.get(c) or fallback_width(c) for c in text) * size / 1000


def fallback_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return WIDE_WIDTH if unicodedata.east_asian_width(character) in "WF" else UNKNOWN_WIDTH


def display_text(text: str, limit: int = 60) -> str:
    """Text on one line that no viewer can be led astray by: controls and bidirectional marks are escaped."""
    line = "".join(
        c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode("ascii")
        for c in text[: limit + 1]
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"

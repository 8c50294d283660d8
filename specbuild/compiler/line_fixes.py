"""Fixes of hints that change more or less than one entry: quotes, braces around a step, indentation, a name."""

from __future__ import annotations

import re

from msgspec import Struct

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.line_hints import MORE_KEYS, STEP_IN_BRACES, TEMPLATE

QUOTED = re.compile(r"quote the text: `([^`]+)`")
TEMPLATE_OR_DOLLAR = re.compile(rf"{TEMPLATE.pattern}|\$(\w+)")
NAME_FOR_TEMPLATE = re.compile(r"write `(\w+)`: a name stands for its value")


class Fix(Struct, frozen=True):
    """A part of a text, and what replaces it."""

    start: int
    end: int
    text: str
    line: int
    old: str

    def apply_to(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]

    def __str__(self) -> str:
        old, new = self.old.strip(), self.text.strip()
        return f"{self.line}: {old} is indented" if old == new else f"{self.line}: {old} -> {new}"


def fix_line(text: str, start: int, error: SpecError) -> Fix | None:
    """Return the fix at an index of the text, if the hint is about its line."""
    assert error.location is not None
    begin, end = text.rfind("\n", 0, start) + 1, text.find("\n", start)
    line, column = text[begin : end if end >= 0 else len(text)], start - begin
    span = (
        quoted_text(line, error)
        or named_value(line, column, error)
        or whole_step(line, column, error)
        or indented_key(line, column, error)
    )
    if span is None:
        return None
    first, last, written = span
    return Fix(begin + first, begin + last, written, error.location.line, line[first:last])


def quoted_text(line: str, error: SpecError) -> tuple[int, int, str] | None:
    """Return the span and the text of a value in quotes: `channels: "max(width, 8)"`."""
    hint = QUOTED.fullmatch(error.hint)
    plain = hint[1].replace('"', "") if hint else ""
    if hint is None or line.count(plain) != 1 or "…" in plain:
        return None
    first = line.index(plain)
    return first, first + len(plain), hint[1]


def named_value(line: str, column: int, error: SpecError) -> tuple[int, int, str] | None:
    """Return the span of a template such as `${n}`, and its name."""
    hint = NAME_FOR_TEMPLATE.fullmatch(error.hint)
    found = TEMPLATE_OR_DOLLAR.finditer(line) if hint else ()
    spans = ((m.start(), m.end()) for m in found if m.start() <= column <= m.end())
    first, last = next(spans, (0, 0))
    return (first, last, hint[1]) if hint and last else None


def whole_step(line: str, column: int, error: SpecError) -> tuple[int, int, str] | None:
    """Return the span of a step with keys behind its braces, and the step: `{linear: {features: 10}, as: head}`."""
    step, more = STEP_IN_BRACES.fullmatch(line[:column]), MORE_KEYS.fullmatch(line[column:].lstrip(", "))
    if step is None or more is None or not error.hint.startswith("put the whole step in braces"):
        return None
    last = line.index(more["keys"], column) + len(more["keys"])
    return step.start("step"), last, f"{{{step['step']}, {more['keys']}}}"


def indented_key(line: str, column: int, error: SpecError) -> tuple[int, int, str] | None:
    """Return the span of an attribute that is as far left as its op, and the attribute two columns further."""
    if not error.hint.startswith("indent it below") or line[:column].strip():
        return None
    return column, len(line), f"  {line[column:]}"

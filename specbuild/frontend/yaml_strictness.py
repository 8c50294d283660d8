"""Refuse text that PyYAML and libyaml accept, but that YAML 1.2 forbids or reads in another way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import yaml

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.frontend.decoding import SpecText

# What may follow the name of an anchor or alias. YAML 1.2 takes other characters for a part of the name.
NAME_ENDS = re.compile(r"[\s,\]}]|\Z")
MAX_SHOWN = 40


def refuse_loose_text(events: Iterable[yaml.Event], text: SpecText) -> Iterator[yaml.Event]:
    """Yield the events. Raises SpecError for a comment without a space before it, a lone `-`, and a `:` in a name."""
    end = 0  # of the event before
    for event in events:
        start, event_end = mark_index(event.start_mark), mark_index(event.end_mark)
        if (mark := text.text.find("#", end, start)) >= 0:
            refuse_attached_comment(mark, start, text)
        end = max(end, event_end)
        if isinstance(event, yaml.ScalarEvent) and not event.style and event.value == "-":
            raise make_error(
                end - 1, text, "expected a value here, found `-`", 'if it is text, quote it: "-"'
            )
        if (name := getattr(event, "anchor", None)) is not None and text.text[start] in "&*":
            refuse_longer_name(name, start, text)
        yield event


def mark_index(mark: Any) -> int:
    """Return the position of a mark in the text. PyYAML's type hints have no common class for the marks of both parsers."""
    return cast(int, mark.index)


def refuse_attached_comment(mark: int, end: int, text: SpecText) -> None:
    """Refuse a comment from `mark` on, the first `#` of the text between two values, unless a space is before it."""
    while 0 <= mark < end:
        if mark and not text.text[mark - 1].isspace():
            message = "a `#` directly after a value starts no comment"
            raise make_error(mark, text, message, "put a space before the `#`; if it is text, quote it")
        line_end = text.text.find("\n", mark)
        mark = text.text.find("#", line_end, end) if line_end >= 0 else -1


def refuse_longer_name(name: str, start: int, text: SpecText) -> None:
    """Refuse the name of an anchor or alias that goes on after what the parser took for it."""
    end = start + 1 + len(name)
    if not NAME_ENDS.match(text.text, end):
        shown = make_printable(name, MAX_SHOWN)
        message = f"the name of a YAML anchor or alias has only letters, digits, `-` and `_`; it ends after `{shown}`"
        hint = "put a space after the name; if you mean text or an expression, quote it"
        raise make_error(end, text, message, hint, "SB010")


def make_error(index: int, text: SpecText, message: str, hint: str, code: str = "SB003") -> SpecError:
    return SpecError(code, message, text.location_of_index(index), hint)

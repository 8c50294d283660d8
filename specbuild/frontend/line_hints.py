"""Hints for lines that are no YAML because of a habit: `${n}` of a template, and keys of a step behind its braces."""

from __future__ import annotations

import re

from specbuild.diagnostics.errors import make_printable

TEMPLATE = re.compile(r"\$\{ *(\w+) *\}|\{\{ *(\w+) *\}\}")  # ${n}, {{ n }}
STEP_IN_BRACES = re.compile(r"(?P<dash> *- +)(?P<step>\w+: *(?:\{.*\}|\[.*\]))[ ,]*")
MORE_KEYS = re.compile(r"(?P<keys>\w+ *: *[^#]*[^#\s])(?: +#.*| *)")
SHAPE = re.compile(r"(\w+)\.shape\[-?\d+\]")
MAX_SHOWN = 80


def suggest_line(line: str, column: int) -> tuple[str, str] | None:
    """Return the message and the hint for the text at a column; None if no habit explains it."""
    return (
        suggest_name_for_template(line, column) or suggest_size(line, column) or suggest_braces(line, column)
    )


def suggest_name_for_template(line: str, column: int) -> tuple[str, str] | None:
    for found in TEMPLATE.finditer(line):
        if found.start() <= column <= found.end():
            return f"`{found[0]}` is not YAML", f"write `{found[1] or found[2]}`: a name stands for its value"
    return None


def suggest_size(line: str, column: int) -> tuple[str, str] | None:
    """Return what to say about `image.shape[1]` in braces."""
    for found in SHAPE.finditer(line):
        if found.start() <= column <= found.end():
            hint = f"a size is read by the name of its axis, such as `{found[1]}.C`"
            return f"`{found[0]}` cannot be written in braces", hint
    return None


def suggest_braces(line: str, column: int) -> tuple[str, str] | None:
    """Return what to say about `- linear: {features: 10}, as: head`: the keys of one line are in braces together."""
    step, more = STEP_IN_BRACES.fullmatch(line[:column]), MORE_KEYS.fullmatch(line[column:].lstrip(", "))
    if step is None or more is None:
        return None
    key = more["keys"].partition(":")[0].strip()
    whole = make_printable(f"- {{{step['step']}, {more['keys']}}}", MAX_SHOWN)
    return f"`{key}` is behind the braces of the step", f"put the whole step in braces: `{whole}`"

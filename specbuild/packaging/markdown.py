"""Free text as Markdown that shows its words and does nothing else."""

from __future__ import annotations

import re

from specbuild.backends.page import reflowed
from specbuild.diagnostics.errors import printable

MOST = 10_000  # characters of one line
# What Markdown would take for its own; an underscore within a word it leaves alone.
SPECIAL = re.compile(r"[\\`*\[\]<>#&~$^{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def line(text: str) -> str:
    """A text on one line, to stand in a paragraph or in a cell."""
    return SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split()), MOST))


def prose(text: str) -> str:
    """A text with its paragraphs and its lists."""
    paragraphs = reflowed(text).split("\n\n")
    return "\n\n".join("\n".join(map(line, paragraph.splitlines())) for paragraph in paragraphs)


def listing(text: str, language: str) -> str:
    """A block of code, behind fences that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def page(*parts: str) -> str:
    """Parts with an empty line between them; empty ones leave nothing."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"

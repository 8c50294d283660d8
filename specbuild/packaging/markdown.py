"""Free text as Markdown that shows its words and does nothing else."""

from __future__ import annotations

import re

from specbuild.backends.module_parts import reflow_paragraphs
from specbuild.diagnostics.errors import make_printable

MAX_LINE = 10_000  # characters of one line
# What Markdown would take for its own; an underscore within a word it leaves alone.
SPECIAL = re.compile(r"[\\`*\[\]<>#&~$^{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def escape_line(text: str) -> str:
    """A text on one line, to stand in a paragraph or in a cell."""
    return SPECIAL.sub(r"\\\g<0>", make_printable(" ".join(text.split()), MAX_LINE))


def escape_text(text: str) -> str:
    """A text with its paragraphs and its lists."""
    paragraphs = reflow_paragraphs(text).split("\n\n")
    return "\n\n".join("\n".join(map(escape_line, paragraph.splitlines())) for paragraph in paragraphs)


def code_block(text: str, language: str) -> str:
    """A block of code, behind fences that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def join_parts(*parts: str) -> str:
    """Parts with an empty line between them; empty ones leave nothing."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"

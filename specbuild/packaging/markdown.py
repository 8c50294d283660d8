"""Markdown: free text with all markup escaped, code blocks, and parts joined to a page."""

from __future__ import annotations

import re

from specbuild.backends.docstrings import reflow_paragraphs
from specbuild.diagnostics.errors import make_printable

MAX_LINE = 10_000  # characters
# Characters with a meaning in Markdown; an underscore within a word has none.
SPECIAL = re.compile(r"[\\`*\[\]<>#&~$^{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def escape_line(text: str) -> str:
    """Escape a text and join it to one line, for a paragraph or a table cell."""
    return SPECIAL.sub(r"\\\g<0>", make_printable(" ".join(text.split()), MAX_LINE))


def escape_markdown(text: str) -> str:
    """Escape a text, and keep its paragraphs and lists."""
    paragraphs = reflow_paragraphs(text).split("\n\n")
    return "\n\n".join("\n".join(map(escape_line, paragraph.splitlines())) for paragraph in paragraphs)


def code_block(text: str, language: str) -> str:
    """Return a fenced code block; the fence is longer than any in the code."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def join_paragraphs(*parts: str) -> str:
    """Join parts with an empty line between them; empty parts are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"

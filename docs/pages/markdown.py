"""Text of the library as Markdown: escaped, with papers linked; tables, listings and tabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from specbuild.diagnostics.sentences import first_sentence as first

SPECIAL = re.compile(r"([\\*_\[\]<>|#$&{}~^`])")
PAPER = re.compile(
    r"(?:https://arxiv\.org/abs/|arXiv )(\d{4}\.\d{4,5})|doi (10\.\d+/[\w.]+\w)|https?://[^\s,)]*\w"
)


def prose(text: str) -> str:
    """A docstring: its words as they are, code in backticks, papers as links, paragraphs apart."""
    paragraphs = (" ".join(part.split()) for part in text.strip().split("\n\n"))
    return "\n\n".join(line(part) for part in paragraphs)


def line(text: str) -> str:
    """One paragraph."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else linked(part) for i, part in enumerate(parts))


def linked(text: str) -> str:
    """Text without code, its papers and addresses linked."""
    found, end = [], 0
    for match in PAPER.finditer(text):
        found += [escaped(text[end : match.start()]), link(match)]
        end = match.end()
    return "".join([*found, escaped(text[end:])])


def link(match: re.Match[str]) -> str:
    if match[1]:
        return f"[arXiv {match[1]}](https://arxiv.org/abs/{match[1]})"
    if match[2]:
        return f"[doi {match[2]}](https://doi.org/{match[2]})"
    return f"<{match[0]}>"


def escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)


def sentence(text: str) -> str:
    """The first sentence of a docstring, for a table."""
    return line(first(text))


def code(text: str) -> str:
    """Text as code within a line."""
    return f"`{text}`" if text else ""


NUMBERS = ("Parameters", "Multiply-adds")  # columns whose entries stand to the right


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, every cell Markdown; nothing where there are no rows."""
    body = [cells(row) for row in rows]
    rule = cells(["---:" if title in NUMBERS else ":---" for title in head])
    return "\n".join([cells(head), rule, *body]) + "\n" if body else ""


def cells(row: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in row) + " |"


def listing(text: str, language: str) -> str:
    """A block of code."""
    return f"~~~~{language}\n{text.rstrip()}\n~~~~\n"


def tabs(group: str, contents: Iterable[tuple[str, str]]) -> str:
    """Contents side by side, one shown at a time; a choice holds for all tabs of the group."""
    items = (f":::{{tab-item}} {title}\n:sync: {title}\n\n{text}\n:::\n" for title, text in contents)
    return f"::::{{tab-set}}\n:sync-group: {group}\n\n" + "\n".join(items) + "::::\n"


def trail(*links: str) -> str:
    """Where a page that is not in the sidebar stands; the front matter keeps Sphinx from missing it there."""
    return "---\norphan: true\n---\n\n" + " / ".join(links)


def page(*parts: str) -> str:
    """A page of parts with a line between them; empty parts leave nothing."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def contents(names: Iterable[str]) -> str:
    """The pages below this one, in the sidebar only."""
    return "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"


def entries(rows: Iterable[tuple[str, str, str]]) -> str:
    """A list of names, each with what it means and a remark."""
    return "\n".join(
        f"* {code(name)}" + (f": {meaning}" if meaning else "") + (f" ({remark})" if remark else "")
        for name, meaning, remark in rows
    )


def described(meaning: str, holds: str) -> str:
    """What an attribute means and below it what it may hold, for a table."""
    return "<br>".join(part for part in (meaning, f"*{holds}*" if holds else "") if part)

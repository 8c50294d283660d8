"""The table of error codes, read off specbuild/codes.py."""

from __future__ import annotations

from collections.abc import Iterator

from docs.pages import markdown
from specbuild.codes import CODES

GROUPS = {
    "SB0": "The file and its YAML",
    "SB1": "The structure of the document",
    "SB2": "Names and references",
    "SB3": "Expressions and values",
    "SB4": "Shapes",
    "SB5": "Limits",
    "SB6": "Backends",
    "SB7": "Output files",
    "SB8": "Published weights",
}


def pages() -> Iterator[tuple[str, str]]:
    yield (
        "codes.md",
        markdown.page(
            "# Error codes",
            "Every refusal names its code, the file, line and column of the mistake, and what to do. "
            "`specbuild explain SB401` tells the same as this page. A code, once released, keeps its meaning.",
            table(),
            *(group(prefix) for prefix in sorted({code[:3] for code in CODES})),
        ),
    )


def table() -> str:
    rows = [(f"[{code}](#{code.lower()})", markdown.line(entry.title)) for code, entry in CODES.items()]
    return markdown.table(("Code", "What is wrong"), rows)


def group(prefix: str) -> str:
    entries = (entry(code) for code in CODES if code.startswith(prefix))
    return markdown.page(f"## {GROUPS.get(prefix, f'{prefix}xx')}", *entries)


def entry(code: str) -> str:
    found = CODES[code]
    example = markdown.listing(found.example, "yaml") if found.example else ""
    return markdown.page(
        f"({code.lower()})=\n### {code}: {markdown.line(found.title)}", markdown.prose(found.text), example
    )

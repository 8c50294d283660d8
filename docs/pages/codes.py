"""The table of error codes, read off specbuild/codes.py."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs.pages import markdown
from specbuild.diagnostics import codes
from specbuild.diagnostics.codes import CODES

GROUPS = dict(
    re.findall(r"(SB\d+)x+ ([^,.]+)", codes.__doc__ or "")
)  # the beginning of a code: what it is about


def pages() -> Iterator[tuple[str, str]]:
    yield (
        "codes.md",
        markdown.page(
            "# Error codes",
            "Every refusal names its code, the file, line and column of the mistake, and what to do. "
            "`specbuild explain SB401` prints the same as this page. A code, once released, keeps its meaning.",
            table(),
            *(group(prefix) for prefix in GROUPS),
        ),
    )


def table() -> str:
    rows = [(f"[{code}](#{code.lower()})", markdown.line(entry.title)) for code, entry in CODES.items()]
    return markdown.table(("Code", "What is wrong"), rows)


def group(prefix: str) -> str:
    entries = (entry(code) for code in CODES if code.startswith(prefix))
    title = " ".join(GROUPS[prefix].split())
    return markdown.page(f"## {title[:1].upper()}{title[1:]}", *entries)


def entry(code: str) -> str:
    found = CODES[code]
    example = markdown.listing(found.example, "yaml") if found.example else ""
    return markdown.page(
        f"({code.lower()})=\n### {code}: {markdown.line(found.title)}", markdown.prose(found.text), example
    )

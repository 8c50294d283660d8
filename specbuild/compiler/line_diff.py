"""What would change in a file, line by line."""

from __future__ import annotations

import difflib
from pathlib import Path

from specbuild.compiler import files as output
from specbuild.diagnostics.errors import printable

NOWHERE = "/dev/null"
MOST = 100_000  # characters of a line


def changes(path: Path, text: str | None) -> str:
    """The unified difference from what stands at `path` to `text`, or to nothing for a file that goes.

    What a terminal would not show as it is, is shown escaped.
    """
    there = output.read(path) or ""
    name = printable(str(path), 4096)
    before = name if there else NOWHERE
    after = NOWHERE if text is None else name
    found = difflib.unified_diff(there.splitlines(True), (text or "").splitlines(True), before, after)
    return "".join(map(_shown, found))


def _shown(line: str) -> str:
    body = "\t".join(printable(part, MOST) for part in line.removesuffix("\n").split("\t"))
    return f"{body}\n" if line.endswith("\n") else f"{body}\n\\ No newline at end of file\n"

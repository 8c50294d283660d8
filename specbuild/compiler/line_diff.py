"""What would change in a file, line by line."""

from __future__ import annotations

import difflib
from pathlib import Path

from specbuild.compiler import output_files as output
from specbuild.diagnostics.errors import make_printable

NULL_PATH = "/dev/null"
MAX_LINE = 100_000  # characters of a line


def diff_file(path: Path, text: str | None) -> str:
    """The unified difference from what stands at `path` to `text`, or to nothing for a file that goes.

    What a terminal would not show as it is, is shown escaped.
    """
    there = output.read_output(path) or ""
    name = make_printable(str(path), 4096)
    before = name if there else NULL_PATH
    after = NULL_PATH if text is None else name
    found = difflib.unified_diff(there.splitlines(True), (text or "").splitlines(True), before, after)
    return "".join(map(_escape_line, found))


def _escape_line(line: str) -> str:
    body = "\t".join(make_printable(part, MAX_LINE) for part in line.removesuffix("\n").split("\t"))
    return f"{body}\n" if line.endswith("\n") else f"{body}\n\\ No newline at end of file\n"

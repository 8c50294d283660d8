"""Unified diffs of files that would change."""

from __future__ import annotations

import difflib
from pathlib import Path

from specbuild.compiler.output_files import read_output
from specbuild.diagnostics.errors import make_printable

NULL_PATH = "/dev/null"
MAX_LINE = 100_000  # characters


def diff_file(path: Path, text: str | None) -> str:
    """Return the unified diff from the file at `path` to `text`, or to nothing if the file would be removed.

    Control characters are escaped, so that a terminal shows them.
    """
    current = read_output(path) or ""
    name = make_printable(str(path), 4096)
    before = name if current else NULL_PATH
    after = NULL_PATH if text is None else name
    lines = difflib.unified_diff(current.splitlines(True), (text or "").splitlines(True), before, after)
    return "".join(map(_escape_line, lines))


def _escape_line(line: str) -> str:
    body = "\t".join(make_printable(part, MAX_LINE) for part in line.removesuffix("\n").split("\t"))
    return f"{body}\n" if line.endswith("\n") else f"{body}\n\\ No newline at end of file\n"

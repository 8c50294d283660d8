"""Every error code is met by a test."""

from __future__ import annotations

import re
from pathlib import Path

from specbuild.diagnostics.codes import CODES

TESTS = Path(__file__).parents[1]


def test_every_code_is_in_a_test() -> None:
    """A test names the code, or it stands in a message that a test compares to the letter."""
    paths = [path for ending in ("py", "txt") for path in TESTS.rglob(f"*.{ending}")]
    found: set[str] = set()
    for path in paths:
        found.update(re.findall(r"\bSB\d{3}\b", path.read_text(encoding="utf-8")))
    assert sorted(set(CODES) - found) == []

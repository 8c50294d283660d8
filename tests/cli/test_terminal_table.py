"""Tables that fit a terminal."""

from __future__ import annotations

import pytest
from rich.text import Text

from specbuild.cli.terminal_table import print_table

HEADINGS = ("what", "tensors", "largest |a - b|", "verdict", "worst")
ROW = ("gradients of weights", "41", "9.8e-15", "differs", "stem.gated.squeeze.bias")


@pytest.mark.parametrize("width", [120, 80, 60, 20])
def test_names_are_folded_and_no_verdict_is_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(HEADINGS, [[Text(cell) for cell in ROW]], [""], numbers=(1, 2), folded={0, 4})
    heading, line, *rows = capsys.readouterr().out.rstrip("\n").splitlines()
    assert heading.split() == " ".join(HEADINGS).split() and set(line) == {"─"}
    assert len(line) <= max(width, 61)  # 12 for each name, and all of the rest
    cells = rows[0].split()
    assert {"41", "9.8e-15", "differs"} <= set(cells) and "…" not in "".join(rows)
    first, last = (
        "".join(row[part].strip() for row in rows)
        for part in (slice(0, len(line) // 4), slice(-len(line) // 3, None))
    )
    assert first.startswith("gradients") and last.endswith("bias")
    assert (len(rows) == 1) == (width >= 80)

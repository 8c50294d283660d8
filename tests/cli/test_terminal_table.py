"""Tables that fit a terminal."""

from __future__ import annotations

import pytest
from rich.text import Text

from specbuild.cli.show import print_fitted
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


@pytest.mark.parametrize(("width", "has_macs"), [(60, False), (80, True), (120, True)])
def test_a_summary_is_no_wider_than_the_terminal(
    width: int, has_macs: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    headings = ("step", "op or block", "output", "parameters", "multiply-adds", "memory", "of multiply-adds")
    row = (
        "color_net",
        "AttentionalFeatureFusion",
        "{C: 512, H: 7, W: 7}",
        "11,176,512",
        "1,813,561,344",
        "31.4 MiB",
        "51% ████",
    )
    print_fitted([headings, row], 3, [""], width)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert any("11,176,512" in line for line in lines)
    assert any("1,813,561,344" in line for line in lines) == has_macs

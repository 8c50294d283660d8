"""`channels`, `features` and `units` mean the same; a note says which word the op has."""

from __future__ import annotations

from pathlib import Path

import pytest

import specbuild
from specbuild.cli import main
from specbuild.diagnostics.errors import SpecErrors

HEAD = "specbuild: 1\nmodel: Net\ninputs: {image: {C: 3, H: 9, W: 9}}\nsteps:\n"
STEPS = """\
  - conv: {WORD: 8, kernel: 3}
  - do:
      - &twice {conv: {WORD: 4}}
      - *twice
  - rename: {axes: {H: T}}
  - {mean: {over: W}}
  - {lstm: {WORD: 6}}
  - linear:
      WORD: 10
      bias: false
"""


@pytest.mark.parametrize("word", ["channels", "features", "units"])
def test_each_word_gives_the_same_model(word: str) -> None:
    own = STEPS.replace("conv: {WORD", "conv: {channels").replace("lstm: {WORD", "lstm: {units")
    expected = specbuild.load(HEAD + own.replace("WORD", "features"))
    model = specbuild.load(HEAD + STEPS.replace("WORD", word))
    assert (
        model.source("torch").partition("import torch")[2]
        == expected.source("torch").partition("import torch")[2]
    )


def test_two_words_are_refused() -> None:
    with pytest.raises(SpecErrors) as refused:
        specbuild.load(HEAD + "  - conv: {features: 8, channels: 8}\n  - linear: {units: 2, channels: 3}\n")
    assert next(e.hint for e in refused.value.errors) == "remove it: 'channels' is given"


def test_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        HEAD + "  - conv: {units: 8}\n  - max_pool: {kernel: 3, stride: 2}\n  - max_pool\n"
        "  - avg_pool: {kernel: 3, stride: 1, padding: 1}\n"
    )
    assert main(["check", str(path)]) == 0
    notes = capsys.readouterr().err
    assert (
        "net.yaml:5:12: note: conv calls the width of its output 'channels'; 'units' means the same" in notes
    )
    assert "net.yaml:6:5: note: max_pool pads nothing by default, unlike conv: H goes from 9 to 4" in notes
    assert notes.count("note:") == 2

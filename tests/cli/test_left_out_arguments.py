"""`specbuild compile` says which parameters of a spec the constructor in an emitted file does not take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specbuild.cli import main

SPEC = """specbuild: 1
model: Net
params:
  length: 6
  deep: true
  mode: {default: slow, enum: [slow, fast]}
  act: {type: block, default: relu}
  taken: 4
  unused: 3
  by: mode
inputs: {x: {T: length, C: 4}}
blocks:
  Unit:
    params: {mode: str}
    inputs: {x: [T, C]}
    steps:
      - linear: {features: x.C}
        when: mode == "slow"
steps:
  - Unit: {mode: by}
  - linear: {features: taken}
    as: fc
    when: deep
  - use: act
"""
REASONS = {
    "length": "only the size of an input",
    "deep": "chooses steps",
    "mode": "other values need other code",
    "act": "blocks are chosen when the spec is compiled",
    "by": "other values need other code",
}


def test_note_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    for backend, title in (("torch", "PyTorch"), ("keras", "Keras 3")):
        assert main(["compile", str(path), "-b", backend]) == 0
        assert capsys.readouterr().err == (
            f"{path}:9:3: note: nothing in Net reads its parameter unused\n"
            f"{path}:4:3: note: Net for {title} has no argument for length (only the size of an input), deep (chooses steps), "
            "mode and by (other values need other code) and act (blocks are chosen when the spec is compiled); "
            "`--set` gives other values\n"
        )
        assert main(["compile", str(path), "-b", backend, "--json"]) == 0
        [record] = json.loads(capsys.readouterr().out)["results"]
        left_out = {item["name"]: item["reason"] for item in record["left_out_arguments"]}
        assert left_out == REASONS

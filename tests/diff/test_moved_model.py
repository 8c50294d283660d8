"""A model that was put under a step of another one, or taken out: one line, and a rule that carries the weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specbuild import load
from specbuild.cli import main
from specbuild.diff.report import report_lines
from specbuild.diff.whole_moves import find_prefix

INNER = """specbuild: 1
model: Inner
inputs: {x: {C: 3, H: 16, W: 16}}
steps:
  - {conv: {channels: 8}, as: conv1}
  - {batch_norm: , as: bn1}
  - relu
  - {conv: {channels: 16}, as: conv2}
  - {mean: {over: [H, W]}}
  - {linear: {features: 10}, as: fc}
"""
OUTER = """specbuild: 1
model: Outer
imports: {Inner: ./inner.yaml}
inputs: {x: {C: 3, H: 16, W: 16}}
steps:
  - {Inner: , as: backbone}
"""
HEAD = "  - {linear: {features: 5}, as: head}\n"


@pytest.fixture(autouse=True)
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("inner", INNER), ("outer", OUTER), ("headed", OUTER + HEAD)):
        Path(f"{name}.yaml").write_text(text)


@pytest.mark.parametrize(
    ("old", "new", "line", "others"),
    [
        ("inner", "outer", "renamed  *  -> backbone.*  (all 6 steps that both have)", 0),
        ("outer", "inner", "renamed  backbone.*  -> *  (all 6 steps that both have)", 0),
        ("inner", "headed", "renamed  *     -> backbone.*  (all 6 steps that both have)", 1),
        ("headed", "inner", "renamed  backbone.*  -> *  (all 6 steps that both have)", 1),
    ],
)
def test_one_line_says_it(old: str, new: str, line: str, others: int) -> None:
    diff = load(Path(f"{old}.yaml")).diff(load(Path(f"{new}.yaml")))
    lines = list(map(str, report_lines(diff, old, new)))
    assert line in lines
    assert sum(re.match("renamed|added    head|removed  head", x) is not None for x in lines) == 1 + others
    assert not any(x.startswith(("added    backbone", "removed  backbone", "removed  conv")) for x in lines)


@pytest.mark.parametrize(("old", "new"), [("inner", "outer"), ("outer", "inner"), ("inner", "headed")])
def test_the_hint_carries_the_weights(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    assert main(["weights", "init", f"{old}.yaml", "-o", "old.pt"]) == 0
    convert = ["weights", "convert", f"{new}.yaml", "old.pt", "-o", "new.pt", "--allow-missing", "head"]
    convert = convert if new == "headed" else convert[:-2]
    assert main(convert) == 1
    said = capsys.readouterr()
    rule = re.search(r"add `(weights: .*)` to the spec", said.out + said.err)
    assert rule is not None
    text = Path(f"{new}.yaml").read_text()
    Path(f"{new}.yaml").write_text(f"{text}{rule[1]}\n")
    assert main(convert) == 0
    assert re.search(r"^1[02] of 1[02] matched|^10 of 12 matched", capsys.readouterr().out, re.M)


def test_the_rule_of_the_report_is_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "inner.yaml", "outer.yaml"]) == 1
    rules = capsys.readouterr().out.partition("add this to the new spec:\n")[2]
    Path("ruled.yaml").write_text(OUTER + rules)
    assert load(Path("ruled.yaml")).parameters == load(Path("inner.yaml")).parameters


def test_a_few_equal_names_are_no_move() -> None:
    """A step of the same name somewhere inside is not a model that moved."""

    def fits(*_: str) -> bool:
        return True

    assert find_prefix(["a", "b", "c", "d"], ["a", "b", "x.c", "x.d"], fits) == ""
    assert find_prefix(["a", "b", "c"], ["x.a", "x.b", "x.c", "y"], fits) == "x"
    assert find_prefix(["a"], ["x.a"], fits) == ""
    assert find_prefix(["a", "b"], ["x.a", "x.b"], lambda *_: False) == ""


def test_a_model_is_taken_out_of_another_and_changed() -> None:
    """What changed inside is told beside it, under the new names."""
    root = Path(__file__).parents[1] / "specs"
    diff = load(root / "frozen.yaml").diff(load(root / "residual.yaml"))
    lines = list(map(str, report_lines(diff, "old", "new")))
    assert any(line.startswith("renamed  backbone.*      -> *  (all 52 steps") for line in lines)
    assert any(line.startswith("changed  stem.0          conv  frozen: yes -> no") for line in lines)
    assert not any(line.startswith("added") for line in lines)

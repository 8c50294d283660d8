"""The work of trying other arguments is limited: what is not tried is no argument, and is reported."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from specbuild.cli import main
from specbuild.codegen import argument_checks, trials
from specbuild.compiler import condition_flips
from specbuild.compiler.pipeline import build_graph, compile_source

SPEC = """specbuild: 1
model: Net
params: {width: 8, depth: 2}
blocks:
  Unit:
    params: {width: 4, kernel: 3, double: false}
    inputs: {x: [C, T]}
    steps:
      - conv: {channels: width, kernel: kernel}
      - linear: {features: 2 * width}
        when: double
inputs: {x: {T: 6, C: 4}}
steps:
  - Unit: {width: width}
  - Unit: {width: width, kernel: 5}
  - linear: {features: depth}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def test_what_is_not_tried_is_reported(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trials, "MAX_EFFORT", 0)
    assert main(["compile", str(spec), "-b", "torch"]) == 0
    out, err = capsys.readouterr()
    assert err == (
        f"{spec}:3:10: note: Net for PyTorch has no argument for width and depth (to try other values takes too long); "
        "`--set` gives other values\n"
        f"{spec}:6:5: note: Unit for PyTorch: no argument for width (to try other values takes too long)\n"
    )
    assert "kernel must be 3 or 5" in out  # both are in the file; no other value was tried
    assert main(["compile", str(spec), "-b", "torch", "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)["results"]
    reason = "to try other values takes too long"
    assert record["left_out_arguments"] == [
        {"name": "width", "reason": reason},
        {"name": "depth", "reason": reason},
        {"block": "Unit", "name": "width", "reason": reason},
    ]


@pytest.mark.parametrize("limit", [0, 20, 30, 40, 16_000])
def test_every_compilation_has_its_own_limit(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MAX_EFFORT", limit)
    graph = build_graph(SPEC)
    first = compile_source(graph, "torch")
    assert compile_source(graph, "torch") == first
    assert compile_source(build_graph(SPEC), "torch") == first
    assert ("width: int = 8" in first) == (limit > 40)


def test_nothing_is_reported_within_the_limit(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(spec), "-b", "torch"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("module", "limit"), [(argument_checks, "MAX_MERGED"), (condition_flips, "MAX_EVALUATIONS")]
)
def test_each_kind_of_work_is_limited(
    module: ModuleType, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = compile_source(build_graph(SPEC), "torch")
    assert "width: int = 8" in within and "must be" not in within
    monkeypatch.setattr(module, limit, 0)
    text = compile_source(build_graph(SPEC), "torch")
    assert "width: int" not in text and "kernel must be 3 or 5" in text

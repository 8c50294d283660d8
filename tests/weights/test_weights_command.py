"""`specbuild weights`: what its verbs say, write and end with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import load
from specbuild.cli import main
from specbuild.version import __version__
from specbuild.weights.safetensors_files import read_safetensors

safetensors_numpy: Any = pytest.importorskip("safetensors.numpy")
ROOT = Path(__file__).parents[2]

# An LSTM, whose two biases Keras adds; a GRU, whose gates it orders otherwise; a list of layers.
NET = """
specbuild: 1
model: Net
params: {classes: 3, width: {type: int, default: 6}}
variants: {wide: {width: 12}}
blocks:
  Look:
    inputs: {x: [T, C]}
    steps:
      - weight: {axes: {C: x.C}, init: normal(1)}
        as: factor
      - multiply: [x, factor]
      - linear: {features: x.C}
        as: mix
inputs: {words: {T: 5, C: 6}}
steps:
  - lstm: {units: width}
    as: reader
  - Look:
    repeat: 2
    as: looks
  - gru: {units: 4, bidirectional: true}
    as: last
  - mean: {over: T}
  - linear: {features: classes}
    as: head
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: int = 0) -> str:
        found = main(["weights", *arguments])
        said = capsys.readouterr()
        assert found == code, said.out + said.err
        assert "Traceback" not in said.out + said.err
        return said.out

    return run


def test_init(run: Any) -> None:
    assert (
        run("init", "net.yaml", "-o", "a.safetensors") == "a.safetensors: 20 weights of Net, 747 parameters\n"
    )
    run("init", "net.yaml", "-o", "b.safetensors")
    run("init", "net.yaml", "-o", "c.safetensors", "--seed", "7", "--variant", "wide", "--set", "classes=9")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    held = read_safetensors(Path("c.safetensors"))
    assert held.values["head.kernel"].shape == (9, 8)
    assert held.values["reader.kernel"].shape == (48, 6)
    assert held.metadata["specbuild"] == f"{__version__} Net"
    run("init", "net.yaml", "-o", "a.safetensors", code=2)
    run("init", "net.yaml", "-o", "a.safetensors", "--seed", "1", "--force")
    assert Path("a.safetensors").read_bytes() != Path("b.safetensors").read_bytes()


def test_a_state_dict_loads_as_it_is(run: Any) -> None:
    torch: Any = pytest.importorskip("torch")
    run("init", "net.yaml", "-o", "a.safetensors")
    run("convert", "net.yaml", "a.safetensors", "-o", "state.safetensors", "--to", "torch")
    state = safetensors_numpy.load_file("state.safetensors")
    model = load("net.yaml").build("torch")
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=True)
    run("convert", "net.yaml", "state.safetensors", "-o", "b.safetensors")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


@pytest.mark.slow
def test_there_and_back_through_keras(run: Any) -> None:
    """Both of its files, gates, lists, sums and all; only the sums cannot be told apart again.

    The model must be given a parameter.
    """
    Path("net.yaml").write_text(NET.replace("classes: 3", "classes: int"))
    chosen = ("--set", "classes=3")
    run("init", "net.yaml", "-o", "a.safetensors", *chosen)
    for name in ("a.weights.h5", "a.keras"):
        said = run("convert", "net.yaml", "a.safetensors", "-o", name, *chosen)
        assert said.startswith("20 of 20 matched, 0 new")
    said = run("compare", "a.safetensors", "a.weights.h5", "--spec", "net.yaml", *chosen)
    assert said == "20 of 20 equal\n"
    said = run("convert", "net.yaml", "a.keras", "-o", "b.safetensors", *chosen)
    assert "note: Keras stores reader/lstm_cell/bias as the sum of two" in said
    a, b = (read_safetensors(Path(f"{name}.safetensors")).values for name in "ab")
    for path, value in a.items():
        if path == "reader.bias":
            value = value + a["reader.recurrent_bias"]
        np.testing.assert_array_equal(
            b[path], np.zeros_like(value) if path == "reader.recurrent_bias" else value
        )


def test_new_weights_begin_as_the_spec_says(run: Any) -> None:
    run("init", "net.yaml", "-o", "a.safetensors")
    run("init", "net.yaml", "-o", "seven.safetensors", "--seed", "7", "--set", "classes=9")
    arguments = ("convert", "net.yaml", "a.safetensors", "-o", "b.safetensors", "--set", "classes=9")
    said = run(*arguments, code=1)
    assert said.splitlines()[:2] == [
        "18 of 20 matched, 0 new, 2 mismatched, 0 left over",
        "  mismatched  head.kernel (9, 8); head.kernel is (3, 8) in the file",
    ]
    assert not Path("b.safetensors").exists()
    said = run(*arguments, "--allow-missing", "head", "--seed", "7")
    assert said.startswith("18 of 20 matched, 2 new (head), 0 mismatched, 0 left over\n")
    a, b, seven = (read_safetensors(Path(f"{name}.safetensors")).values for name in ("a", "b", "seven"))
    np.testing.assert_array_equal(b["head.kernel"], seven["head.kernel"])
    np.testing.assert_array_equal(b["last.kernel"], a["last.kernel"])


def test_json(run: Any) -> None:
    run("init", "net.yaml", "-o", "a.safetensors")
    arguments = ("convert", "net.yaml", "a.safetensors", "-o", "b.safetensors", "--json")
    found = json.loads(run(*arguments))
    assert (found["file"], found["matched"], found["weights"], found["errors"]) == (
        "b.safetensors",
        20,
        20,
        [],
    )
    found = json.loads(run(*arguments, "--set", "classes=9", "--force", code=1))
    assert found["file"] is None
    assert found["mismatched"][0] == {
        "path": "head.kernel", "shape": [9, 8], "name": "head.kernel", "expected_shape": [9, 8], "actual": "(3, 8)",
    }  # fmt: skip
    assert found["errors"][0]["code"] == "SB801"
    found = json.loads(run("convert", "net.yaml", "none.pt", "-o", "b.pt", "--json", code=2))
    assert found["errors"][0]["code"] == "SB803"
    found = json.loads(run("inspect", "a.safetensors", "--json"))
    assert len(found["weights"]) == 20 and found["report"] is None
    assert {"name", "shape", "dtype", "low", "high", "mean", "deviation", "not_finite"} == set(
        found["weights"][0]
    )
    found = json.loads(run("compare", "a.safetensors", "b.safetensors", "--json"))
    assert (found["equal"], found["different"], found["errors"]) == (20, [], [])


def test_inspect(run: Any) -> None:
    run("init", "net.yaml", "-o", "a.safetensors")
    lines = run("inspect", "a.safetensors").splitlines()
    assert lines[0].split() == ["weight", "shape", "type", "least", "largest", "mean", "deviation"]
    assert lines[-1] == "20 tensors, 747 numbers"
    lines = run("inspect", "a.safetensors", "--spec", "net.yaml").splitlines()
    assert lines[-1] == "20 of 20 matched, 0 new, 0 mismatched, 0 left over"
    run("inspect", "a.safetensors", "--spec", "net.yaml", "--set", "classes=9", code=1)


def test_compare(run: Any) -> None:
    run("init", "net.yaml", "-o", "a.safetensors")
    run("init", "net.yaml", "-o", "b.safetensors", "--set", "classes=4")
    values = read_safetensors(Path("a.safetensors")).values
    values["head.bias"] = values["head.bias"] * np.float32(1.001)
    del values["head.kernel"]
    safetensors_numpy.save_file(values, "c.safetensors")
    said = run("compare", "a.safetensors", "c.safetensors", code=1).splitlines()
    assert said[0] == "18 of 20 equal; the largest difference is 1.0e-03, of head.bias"
    assert said[1:] == ["  head.bias  1.0e-03", "  head.kernel  only in a.safetensors"]
    assert run("compare", "a.safetensors", "c.safetensors", "--tolerance", "0.01", code=1).startswith(
        "19 of 20"
    )
    assert "head.kernel  shapes (3, 8) and (4, 8)" in run("compare", "a.safetensors", "b.safetensors", code=1)


def test_names_are_printed_inert(run: Any) -> None:
    safetensors_numpy.save_file({"\x1b[31mred[/]": np.zeros(1, "float32")}, "odd.safetensors")
    assert "\x1b" not in run("inspect", "odd.safetensors")
    assert "\x1b" not in run("convert", "net.yaml", "odd.safetensors", "-o", "b.safetensors", code=1)


def test_nothing_in_the_current_folder_stands_in_for_a_package(run: Any, folder: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    for name in ("torch", "numpy", "safetensors", "json"):
        (folder / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit(3)\n")
    torch.save(load("net.yaml").build("torch").state_dict(), "a.pt")
    run("convert", "net.yaml", "a.pt", "-o", "a.safetensors")
    assert not Path("ran").exists()


def test_numbers_are_not_loaded_before_they_are_needed() -> None:
    """`specbuild --help` and all other verbs start as quickly as before."""
    code = (
        "import sys, specbuild.cli; print([m for m in ('numpy', 'safetensors', 'h5py') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt", "none.weights.h5", "none.keras"])
def test_a_model_without_weights(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("specbuild: 1\nmodel: Net\ninputs: {x: {C: 3}}\nsteps:\n  - relu\n")
    assert main(["weights", "init", str(spec), "-o", str(tmp_path / name)]) == 0
    assert "0 weights of Net" in capfd.readouterr().out


def test_a_tolerance_that_is_no_number(tmp_path: Path) -> None:
    assert main(["weights", "compare", "a.pt", "b.pt", "--tolerance", "nan"]) == 2


def test_a_file_with_other_numbers_than_the_spec_gives(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that is too large for code is stored with the weights; the file must have the numbers of the spec."""
    table = np.arange(4_000, dtype="float32").reshape(4, 1_000)
    safetensors_numpy.save_file({"taps": table}, "taps.safetensors")
    const = "- const: {axes: {T: 4, C: 1000}, file: taps.safetensors}\n    as: taps"
    steps = f"  {const}\n  - multiply: [x, taps]\n  - linear: {{features: 3}}\n"
    Path("given.yaml").write_text(
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {{T: 4, C: 1000}}}}\nsteps:\n{steps}"
    )
    run("init", "given.yaml", "-o", "a.safetensors")
    values = safetensors_numpy.load_file("a.safetensors")
    np.testing.assert_array_equal(values["taps.value"], table)
    values["taps.value"][3, 999] += 1_000
    safetensors_numpy.save_file(values, "b.safetensors")
    capsys.readouterr()
    assert main(["weights", "convert", "given.yaml", "b.safetensors", "-o", "c.safetensors"]) == 1
    assert "error[SB808]: `b.safetensors` has other numbers for taps.value" in capsys.readouterr().err
    assert not Path("c.safetensors").exists()
    del values["taps.value"]
    safetensors_numpy.save_file(values, "b.safetensors")
    run("convert", "given.yaml", "b.safetensors", "-o", "c.safetensors")
    np.testing.assert_array_equal(safetensors_numpy.load_file("c.safetensors")["taps.value"], table)


def test_many_names_that_are_left_over(run: Any) -> None:
    """Some dozens are listed, and how many more there are."""
    run("init", "net.yaml", "-o", "a.safetensors")
    values = safetensors_numpy.load_file("a.safetensors")
    values |= {f"other.{i}": np.zeros(1, "float32") for i in range(40_000)}
    safetensors_numpy.save_file(values, "b.safetensors")
    lines = run("convert", "net.yaml", "b.safetensors", "-o", "c.safetensors", code=1).splitlines()
    assert lines[0] == "20 of 20 matched, 0 new, 0 mismatched, 40000 left over"
    assert len(lines) < 60 and "  left over  ... and 39,960 more" in lines
    assert not Path("c.safetensors").exists()

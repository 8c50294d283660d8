"""Given numbers beyond the values in a spec: random tables, and tables too long for code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import PCG64, Generator
from safetensors.numpy import load_file, save_file

from specbuild.api import load
from specbuild.cli import main
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError

SPEC = """\
specbuild: 1
model: M
inputs: {x: {C: 40}}
steps:
  - const: {axes: {C: 40, K: %s}, %s}
    as: table
  - contract: {of: [x, table], over: C}
"""


def test_numbers_of_the_generator() -> None:
    """They are the same with every version of NumPy and of specbuild: models depend on them."""
    code = compile_source(
        build_graph(SPEC.replace("C: 40", "C: 2") % (2, "random: normal, seed: 3")), "torch"
    )
    assert "[2.0409191213851825, 0.41809884672577885]" in code
    assert "[-2.5556650313141818, -0.5677696061279298]" in code


@pytest.mark.parametrize(
    ("random", "expected"),
    [
        ("normal(0.5)", lambda g, shape: g.normal(0, 0.5, shape)),
        ("uniform(-1, 2)", lambda g, shape: g.uniform(-1, 2, shape)),
        ("signs", lambda g, shape: 2.0 * g.integers(0, 2, shape) - 1),
    ],
)
def test_distributions(random: str, expected: object) -> None:
    model = load(SPEC % (60, f'random: "{random}", seed: 5')).build("torch").double()
    assert callable(expected)
    table = torch.from_numpy(expected(Generator(PCG64(5)), (40, 60)))
    x = torch.randn(3, 40, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(model(x), x @ table.float().double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("attributes", "code", "message"),
    [
        ("random: gauss", "SB305", "'gauss' is not one of normal, normal(deviation), uniform(low, high)"),
        ("random: uniform", "SB305", "uniform takes 2 numbers; got 0"),
        ('random: "uniform(1, 0)"', "SB305", "the first bound must be below the second"),
        ("random: integers(0)", "SB305", "0 is not a number of integers"),
        ("random: integers(8)", "SB305", "the table is float, but its numbers are int32"),
        ("random: normal, value: C", "SB103", "a table has one of `value`, `values`, `file` and `random`"),
        ("random: normal, tensor: a", "SB101", "`tensor` is for a table with a `file`"),
    ],
)
def test_refused(attributes: str, code: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(SPEC % (2, attributes))
    assert caught.value.code == code and caught.value.message.startswith(message)


def test_too_many() -> None:
    with pytest.raises(SpecError, match="the table has 40,000,000 random numbers; at most 16,777,216"):
        build_graph(SPEC % (1_000_000, "random: normal"))


def test_a_long_table_comes_with_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    taps = np.random.default_rng(0).normal(size=(40, 60))
    save_file({"taps": taps}, "taps.safetensors")
    Path("net.yaml").write_text(SPEC % (60, "file: taps.safetensors"))
    assert main(["compile", "net.yaml", "-b", "torch", "-o", "net.py"]) == 0
    note = (
        "net.yaml:5:5: note: the numbers of table come with the weights; `specbuild weights init` writes them"
    )
    assert note in capsys.readouterr().err
    source = Path("net.py").read_text()
    assert 'self.register_buffer("table", unfilled_table(40, 60))' in source
    namespace: dict[str, object] = {}
    exec(source, namespace)  # the emitted file alone: it has no numbers, and says so
    model = namespace["M"]()  # type: ignore[operator]
    assert model(torch.ones(1, 40)).isnan().all()
    assert main(["weights", "init", "net.yaml", "-o", "net.pt"]) == 0
    model.load_state_dict(torch.load("net.pt"))
    np.testing.assert_allclose(model(torch.ones(1, 40)).numpy()[0], taps.sum(0), rtol=1e-5, atol=1e-5)


def test_a_weight_file_has_the_table_or_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = (
        SPEC % (60, "random: normal, seed: 1")
        + "  - rename: {axes: {K: C}}\n  - linear: {features: 2}\n    as: head\n"
    )
    Path("net.yaml").write_text(spec)
    torch.save({"head.weight": torch.ones(2, 60), "head.bias": torch.zeros(2)}, "head.pt")
    assert main(["weights", "convert", "net.yaml", "head.pt", "-o", "full.safetensors"]) == 0
    values = load_file("full.safetensors")
    np.testing.assert_array_equal(
        values["table.value"], Generator(PCG64(1)).normal(size=(40, 60)).astype("f4")
    )
    save_file({**values, "table.value": values["table.value"] + 1}, "other.safetensors", {"specbuild": "0 M"})
    assert main(["weights", "convert", "net.yaml", "other.safetensors", "-o", "x.pt"]) == 1
    assert "other.safetensors` has other numbers for table.value than the spec" in capsys.readouterr().err
    assert not Path("x.pt").exists()


def test_a_package_has_no_place_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC % (60, "random: normal"))
    assert main(["compile", "net.yaml", "-b", "torch", "--layout", "package", "-o", "net"]) == 3
    assert not Path("net").exists()

"""Values under `let` in the emitted code: computed once where they are read several times."""

from __future__ import annotations

import pytest
import torch

from specbuild import load
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.runtimes.live_model import import_source

SPEC = """\
specbuild: 1
model: Net
inputs: {{x: {{C: 8, H: 6, W: 6}}}}
blocks:
  Part:
    params: {{expansion: 2, groups: 1}}
    inputs: {{x: [C, H, W]}}
    let: {{{let}}}
    steps:
{steps}
steps:
  - Part: {{expansion: 3, groups: {groups}}}
  - Part
"""
INVERTED = """\
      - conv: {channels: hidden, kernel: 1}
      - conv: {channels: hidden, groups: hidden}
      - conv: {channels: x.C, kernel: 1}
"""
ROLLED = """\
      - roll: {shift: {H: down, W: -down}}
        when: groups > 1
      - conv: {channels: 4}
      - roll: {shift: {H: -down, W: down}}
        when: groups > 1
"""


def emit(let: str, steps: str, groups: int = 1, backend: str = "torch") -> str:
    return compile_source(build_graph(SPEC.format(let=let, steps=steps, groups=groups)), backend)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_value_that_is_read_twice_is_computed_once(backend: str) -> None:
    source = emit("hidden: expansion * x.C", INVERTED, backend=backend)
    [line] = [line.strip() for line in source.splitlines() if "hidden = " in line]
    assert line.startswith(("hidden = expansion * ", "hidden = self.expansion * "))
    assert (
        "nn.Conv2d(in_channels, hidden, 1)" if backend == "torch" else "layers.Conv2D(hidden, 1"
    ) in source
    assert source.count("expansion * ") == 1


def test_a_value_that_is_read_once_stays_in_its_place() -> None:
    source = emit("hidden: expansion * x.C", "      - conv: {channels: hidden, kernel: 1}\n")
    assert "hidden" not in source
    assert "nn.Conv2d(in_channels, expansion * in_channels, 1)" in source


def test_a_name_that_has_another_meaning_is_no_variable() -> None:
    """`layers` is a module in Keras, `F` one in PyTorch."""
    steps = INVERTED.replace("hidden", "layers")
    assert "layers = " not in emit("layers: expansion * x.C", steps, backend="keras")
    assert "layers = expansion * in_channels" in emit("layers: expansion * x.C", steps)


def test_a_division_stays_under_the_condition_that_protects_it() -> None:
    source = emit("down: expansion // groups", ROLLED, groups=2)
    assert "down = " not in source
    net = import_source(source, "rolled").Net()
    assert net(torch.zeros(1, 8, 6, 6)).shape == (1, 4, 6, 6)


def test_a_division_by_a_size_needs_no_protection() -> None:
    source = emit("down: groups * (2 - expansion // x.H)", ROLLED, groups=2)
    assert source.count("down = self.groups * (2 - self.expansion // ") == 1
    assert (
        "        if self.groups > 1:\n            x = torch.roll(x, (down, -down), dims=(2, 3))\n" in source
    )
    net = import_source(source, "rolled_by_sizes").Net()
    assert net(torch.zeros(1, 8, 6, 6)).shape == (1, 4, 6, 6)


def test_a_size_is_no_parameter_of_the_author() -> None:
    """`expansion * groups` is not what `hidden: expansion * x.C` names."""
    steps = "      - conv: {channels: expansion * groups, kernel: 1}\n      - conv: {channels: expansion * groups}\n"
    source = emit("hidden: expansion * x.C", steps + "      - conv: {channels: hidden}\n", groups=2)
    assert "hidden" not in source


def test_list_under_let_beside_a_condition() -> None:
    """Arguments are tried at which an opaque number in the list would be another one."""
    text = """\
specbuild: 1
model: Net
params: {width: 8}
inputs: {x: {T: 4, C: 4}}
let: {wide: width > 4, features: [1, '[3, 4, 5][width // 4]']}
steps:
  - {linear: {features: width}, when: wide}
  - linear: {features: "features[1]"}
"""
    for backend in ("torch", "keras"):
        assert "def __init__(self, width" not in compile_source(build_graph(text), backend)


def test_thousands_of_values_take_no_quadratic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared and read again is counted; a value after the limit stays an expression, and the file is right."""
    lets = ", ".join(f"b{i}: x.C * {i + 2}" for i in range(40))
    steps = "".join(f"      - linear: {{features: b{i}}}\n" for i in range(40))
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\nblocks:\n  B:\n"
        f"    inputs: {{x: [C]}}\n    let: {{{lets}}}\n    steps:\n{steps}steps: [B]\n"
    )
    whole = load(text).compile_for("torch").source()
    assert whole.count("        b1 = ") == 1 and whole.count("        b38 = ") == 1
    monkeypatch.setattr("specbuild.codegen.let_variables.MAX_WORK", 1_000)
    cut = load(text).compile_for("torch").source()
    assert cut.count("        b0 = ") == 1 and cut.count("        b38 = ") == 0
    assert "in_channels * 40" in cut

"""Steps of one name under conditions: the present one counts."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

STEMS = """\
specbuild: 1
model: M
params: {deep: true}
inputs: {image: {C: 3, H: 8, W: 6}}
blocks:
  Branch:
    params: {deep: bool, channels: 4}
    steps:
      - do:
        - conv: {channels: channels // 2, stride: 2}
        - relu
        - conv: {channels: channels}
        as: stem
        when: deep
      - conv: {channels: channels, kernel: 5, stride: 2}
        as: stem
        when: not deep
      - relu
  Simple:
    params: {k: 1}
    steps:
      - conv: {channels: 4, kernel: 5}
        as: stem
        when: k == 2
      - conv: {channels: 4, kernel: 3}
        as: stem
        when: k == 1
      - tanh
steps:
  - Branch: {deep: deep}
    as: a
  - Branch: {deep: not deep, channels: 6}
    as: b
  - Simple: {k: 1}
    as: c
  - Simple: {k: 2}
    as: d
  - Simple: {k: 0}
    as: e
"""


@pytest.mark.parametrize("deep", [True, False])
def test_each_use_has_its_own_step(deep: bool) -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(STEMS, {"deep": deep}), "torch"), names)
    net = names["M"]().double()
    sizes = {name: tuple(weight.shape) for name, weight in net.named_parameters() if weight.dim() == 4}
    deep_sizes = {"a.stem.0.weight": (2, 3, 3, 3), "a.stem.2.weight": (4, 2, 3, 3)}
    plain_sizes = {"b.stem.weight": (6, 4, 5, 5)}
    if not deep:
        deep_sizes = {"b.stem.0.weight": (3, 4, 3, 3), "b.stem.2.weight": (6, 3, 3, 3)}
        plain_sizes = {"a.stem.weight": (4, 3, 5, 5)}
    simple_sizes = {"c.stem.weight": (4, 6, 3, 3), "d.stem.weight": (4, 4, 5, 5)}
    assert sizes == deep_sizes | plain_sizes | simple_sizes
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    expected = net.b.stem(net.a.stem(x).relu()).relu()
    assert torch.equal(net(x), net.d.stem(net.c.stem(expected).tanh()).tanh().tanh())


@pytest.mark.parametrize("deep", [True, False])
def test_keras_agrees(deep: bool, parity_of: ParityOf) -> None:
    def stem_case(deep: bool) -> ParityCase:
        return ParityCase("stem", build_graph(STEMS, {"deep": deep}), dtype="float64")

    report = parity_of(stem_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def build(steps: str) -> Any:
    text = f"specbuild: 1\nmodel: M\nparams: {{n: 1}}\ninputs: {{x: {{C: 2, H: 3}}}}\nsteps: {steps}\n"
    return build_graph(text)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            "[{relu: , as: a, when: n > 0}, {tanh: , as: a, when: n == 1}]",
            "two steps named 'a' are present here: the conditions of both are true",
        ),
        ("[{relu: , as: a, when: n > 1}, {tanh: , as: a}]", "the name 'a' is already used above"),
        (
            "[{relu: , as: a, when: prev.C > 2}, {tanh: , as: a, when: prev.C <= 2}]",
            "nothing is named 'prev' here",
        ),
    ],
)
def test_refused(steps: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        build(steps)


def test_numbers_of_other_steps_stay() -> None:
    graph = build(
        "[{do: [relu, {tanh: , as: a, when: n == 2}, {sigmoid: , as: a, when: n == 1}, relu], as: g}]"
    )
    assert [node.name for node in graph.nodes] == ["g.0", "g.a", "g.3"]

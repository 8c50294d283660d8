"""`name.*` stands for all values of a repeat, of a block, or of an op with several results."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

C2F = """\
specbuild: 1
model: M
params: {n: 2}
inputs: {image: {C: 8, H: 5, W: 4}}
blocks:
  C2f:
    params: {channels: int, n: int}
    steps:
      - conv: {channels: 2 * channels, kernel: 1}
      - split: {over: C, into: [a, b]}
        as: halves
      - conv: {channels: channels}
        from: halves.b
        repeat: n
        as: m
      - concat: {of: [halves.*, m.*], over: C}
      - conv: {channels: x.C, kernel: 1}
        as: last
steps:
  - C2f: {channels: 3, n: n}
    as: block
"""


def test_all_members_of_a_repeat() -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(C2F), "torch"), names)
    block = names["M"]().block.double()
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    a, b = block.conv(x).chunk(2, dim=1)
    values = [a, b]
    for layer in block.m:
        values.append(layer(values[-1]))
    assert torch.equal(block(x), block.last(torch.cat(values, dim=1)))


def test_a_repeat_without_members_adds_no_values() -> None:
    code = compile_source(build_graph(C2F, {"n": 0}), "torch")
    assert "torch.cat([a, b], dim=1)" in code


def test_keras_agrees(parity_of: ParityOf) -> None:
    def c2f_case() -> ParityCase:
        return ParityCase("c2f", build_graph(C2F, {"n": 3}), dtype="float64")

    report = parity_of(c2f_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[relu: , add: [relu.*, x]]", "relu has one value, and no list of values"),
        ("[relu: , add: [nothing.*, x]]", "no earlier step or input is named 'nothing'"),
        ("[{relu: , repeat: 0, as: r}, add: [r.*]]", "add needs its inputs, but r.* has no values"),
        ("[{relu: , repeat: 2, as: r}, {conv: {channels: 1}, from: r.*}]", "r.* stands for several values"),
    ],
)
def test_values_that_are_not_there(steps: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        build_graph(f"specbuild: 1\nmodel: M\ninputs: {{x: {{C: 2, H: 3}}}}\nsteps: {steps}\n")

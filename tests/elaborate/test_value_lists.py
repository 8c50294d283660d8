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


def test_a_value_inside_each_member() -> None:
    """The skip connections of WaveNet."""
    spec = """\
specbuild: 1
model: M
inputs: {sound: {T: 9, C: 4}}
blocks:
  Layer:
    inputs: {x: [T, C]}
    steps:
      - linear: {features: x.C}
        as: out
      - linear: {features: 3}
        as: skipped
    outputs: {x: out, skip: skipped}
steps:
  - Layer:
    repeat: 3
    as: body
  - add: [body.*.skip]
    as: skips
  - concat: [body.*.out]
    as: joined
outputs: {skips: skips, all: joined}
"""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(spec), "torch"), names)
    net, x = names["M"]().double(), torch.randn(2, 9, 4, dtype=torch.float64)
    given, skips, outs = x, [], []
    for layer in net.body:
        x = layer.out(x)
        outs.append(x)
        skips.append(layer.skipped(x))
    found = net(given)
    torch.testing.assert_close(found[0], sum(skips))
    torch.testing.assert_close(found[1], torch.cat(outs, -1))


def test_all_inputs_of_an_op_are_attributes_or_the_first_is_the_step_before() -> None:
    head = "specbuild: 1\nmodel: M\ninputs: {e: {E: 6, C: 3}, at: {axes: {E: 6}, dtype: int32}}\nsteps:\n"
    step = "- segment_reduce: {@index: at, over: E, axis: N, count: 4}\n"
    codes = [
        compile_source(build_graph(f"{head}- tanh\n- relu:\n  as: r\n{text}"), "torch").partition("\n")[2]
        for text in (
            step.replace("@", "x: r, "),
            step.replace("@", ""),
            step.replace("@", "") + "  from: r\n",
        )
    ]
    assert codes[0] == codes[1] == codes[2]


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

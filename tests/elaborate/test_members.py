"""Members of a repeat with names of their own, or directly in the group around them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

DENSE = """\
specbuild: 1
model: M
params: {n: 3}
inputs: {image: {C: 3, H: 6, W: 5}}
blocks:
  DenseLayer:
    params: {growth: int}
    steps:
      - batch_norm
      - relu
      - conv: {channels: growth, bias: false}
        as: conv1
      - concat: {of: [x, conv1], over: C}
  Dense:
    params: {n: int}
    steps:
      - do:
        - conv: {channels: 4, bias: false}
          as: conv0
        - DenseLayer: {growth: 2 + i}
          repeat: n
          names: "denselayer{i + 1}"
          as: denseblock1
        as: features
  Mobile:
    params: {n: int}
    steps:
      - do:
        - do: [conv: {channels: 4}, relu]
        - conv: {channels: 5 + i}
          repeat: n
          splice: true
        - conv: {channels: 8 * (i + 1)}
          repeat: 2
          splice: true
          when: n > 0
        - conv: {channels: 6}
        as: features
steps:
  - Dense: {n: n}
    as: a
  - Dense: {n: n - 1}
    as: b
  - Mobile: {n: n - 1}
    as: c
  - Mobile: {n: 0}
    as: d
  - conv: {channels: 3 + i}
    repeat: 2
    splice: true
    names: "layer{i + 1}"
  - relu
"""
SIZES = {
    "a.features.conv0": (4, 3, 3, 3),
    "a.features.denseblock1.denselayer1.conv1": (2, 4, 3, 3),
    "a.features.denseblock1.denselayer2.conv1": (3, 6, 3, 3),
    "a.features.denseblock1.denselayer3.conv1": (4, 9, 3, 3),
    "b.features.conv0": (4, 13, 3, 3),
    "b.features.denseblock1.denselayer1.conv1": (2, 4, 3, 3),
    "b.features.denseblock1.denselayer2.conv1": (3, 6, 3, 3),
    "c.features.0.0": (4, 9, 3, 3),
    "c.features.1": (5, 4, 3, 3),
    "c.features.2": (6, 5, 3, 3),
    "c.features.3": (8, 6, 3, 3),
    "c.features.4": (16, 8, 3, 3),
    "c.features.5": (6, 16, 3, 3),
    "d.features.0.0": (4, 6, 3, 3),
    "d.features.1": (6, 4, 3, 3),
    "layer1": (3, 6, 3, 3),
    "layer2": (4, 3, 3, 3),
}


def test_names_are_paths_of_the_weights() -> None:
    graph = build_graph(DENSE)
    names: dict[str, Any] = {"__name__": "emitted"}
    source = compile_source(graph, "torch")
    exec(source, names)
    net = names["M"]().double().eval()
    assert {
        k.removesuffix(".weight"): tuple(v.shape) for k, v in net.state_dict().items() if v.dim() == 4
    } == SIZES
    assert type(net.c.features) is torch.nn.Sequential
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    a = net.a.features.denseblock1.denselayer1(net.a.features.conv0(x))
    a = net.a.features.denseblock1.denselayer3(net.a.features.denseblock1.denselayer2(a))
    expected = net.layer2(net.layer1(net.d.features(net.c.features(net.b.features(a))))).relu()
    assert torch.equal(net(x), expected)


def test_keras_agrees(parity_of: ParityOf) -> None:
    def members_case() -> ParityCase:
        return ParityCase("members", build_graph(DENSE), dtype="float64")

    report = parity_of(members_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


EDITED = """\
specbuild: 1
model: M
inputs: {x: {C: 3, H: 5}}
steps:
  - do:
    - conv: {channels: 4}
    - conv: {channels: 5 + i}
      repeat: 2
      splice: true
    - conv: {channels: 7}
      repeat: 3
      names: "layer{i + 1}"
      as: named
    as: f
  - reuse: f.named.layer2
    as: again
  - add: [again, f.named.*]
edits:
  - {set: f.2, to: {channels: 7}}
  - {insert: tanh, after: f.1}
  - {remove: f.named.layer3}
  - {set: f.named.layer1, to: {kernel: 5}}
"""


def test_edits_and_reuse_find_members() -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(EDITED), "torch"), names)
    net = names["M"]().double()
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    f = net.f
    first = f["named"]["layer1"](f["2"](f["1"](f["0"](x)).tanh()))
    second = f["named"]["layer2"](first)
    assert f["named"]["layer1"].kernel_size == (5,)
    assert set(f["named"]) == {"layer1", "layer2"}
    assert torch.equal(net(x), f["named"]["layer2"](second) + first + second)


def test_named_members_are_read() -> None:
    steps = '[{conv: {channels: 2}, repeat: 2, names: "m{2 * i}", as: s}, {add: [s.*, s.m0, x]}]'
    graph = build_graph(f"specbuild: 1\nmodel: M\ninputs: {{x: {{C: 2, H: 3}}}}\nsteps: {steps}\n")
    assert graph.nodes[-1].inputs == ("s.m0", "s.m2", "s.m0", "x")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[{relu: , repeat: 2, names: act}]", "the members 0 and 1 would both be named 'act'"),
        ('[{relu: , repeat: 2, names: "{i}"}]', "'0' cannot be the name of a member"),
        ('[{relu: , repeat: 2, names: "a{k}"}]', "nothing is named 'k' here"),
        ('[{relu: , names: "a{i}"}]', "`names` is for the members of"),
        ("[{relu: , splice: true}]", "'splice' needs 'repeat'"),
        ("[{relu: , repeat: 2, splice: true}]", "`splice` numbers members on in a `do`"),
        ("[{do: [{relu: , repeat: 2, splice: true, as: b}]}]", "they have no common `as`"),
        ("[{do: [{relu: , repeat: prev.C, splice: true}]}]", "nothing is named 'prev' here"),
        ("[{do: [{relu: , repeat: 0, splice: true, from: x}]}]", "this repeat has no members"),
        ('[{relu: , as: a1}, {relu: , repeat: 2, splice: true, names: "a{i}"}]', "'a1' is already used"),
    ],
)
def test_refused(steps: str, message: str) -> None:
    with pytest.raises((SpecError, SpecErrors), match=re.escape(message)):
        build_graph(f"specbuild: 1\nmodel: M\ninputs: {{x: {{C: 2, H: 3}}}}\nsteps: {steps}\n")

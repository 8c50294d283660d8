"""Instances of a block that differ in their axes share a class where they can; else each kind gets its own."""

from __future__ import annotations

import re

import pytest

from specbuild import load
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

CASES = {
    "an axis that one lacks": """
specbuild: 1
model: Net
blocks:
  Unit:
    params: {other: false, channels: int}
    steps:
      - rename: {axes: {K: C}}
        when: other
      - conv: {channels: channels, kernel: 1}
        as: conv
inputs: {a: {C: 3, H: 5, W: 4}, b: {K: 5, H: 4, W: 3}}
steps:
  - Unit: {channels: 4}
    from: a
    as: first
  - Unit: {channels: 6, other: true}
    from: b
    as: second
outputs: {x: first, y: second}
""",
    "a condition on an axis that one lacks": """
specbuild: 1
model: Net
blocks:
  Unit:
    params: {axis: T}
    steps:
      - linear: {features: x.C + 1}
      - mean: {over: "${axis}"}
        when: x.C > 3
inputs: {a: {T: 4, C: 3}, b: {S: 3, C: 5}, c: {S: 2, C: 6}}
steps:
  - Unit:
    from: a
    as: first
  - Unit: {axis: S}
    from: b
    as: second
  - Unit: {axis: S}
    from: c
    as: third
outputs: {x: first, y: second, z: third}
""",
    "layers with more code around them that one leaves out": """
specbuild: 1
model: Net
blocks:
  Unit:
    params: {whole: bool, kernel: 3}
    steps:
      - conv_transpose: {channels: x.C, kernel: kernel, padding: same}
        when: whole
      - conv: {channels: x.C, kernel: kernel, padding_mode: reflect}
        when: whole
      - relu
inputs: {x: {C: 3, H: 6, W: 5}}
steps:
  - Unit: {whole: true}
  - Unit: {whole: true, kernel: 5}
  - Unit: {whole: false}
""",
    "axes in another order": """
specbuild: 1
model: Net
blocks:
  Unit:
    params: {channels: int}
    steps:
      - conv: {channels: channels, over: [h, w]}
        as: conv
inputs: {image: {C: 3, H: 6, W: 4}}
steps:
  - unflatten: {axis: H, into: {rows: 2, h: 3}}
  - unflatten: {axis: W, into: {columns: 2, w: 2}}
    as: windows
  - Unit: {channels: 4}
    as: first
  - flatten: {axes: [h, w], into: T}
  - linear: {features: 5}
    as: mix
  - unflatten: {axis: T, into: {h: 3, w: 2}}
  - Unit: {channels: 6}
    as: second
  - Unit: {channels: 3}
    as: third
""",
    "an op of a group over another dimension": """
specbuild: 1
model: Net
blocks:
  Unit:
    steps:
      - do:
          - cumsum: {over: T}
            as: total
          - add: [total, x]
            as: both
          - linear: {features: x.C}
        as: inner
inputs: {a: {T: 3, C: 4}, b: {S: 2, T: 5, C: 3}}
steps:
  - Unit:
    from: a
    as: first
  - Unit:
    from: b
    as: second
outputs: {x: first, y: second}
""",
}


def merged_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_both_files_are_right(name: str, parity_of: ParityOf) -> None:
    report = parity_of(merged_case)
    assert report.is_equal, str(report)


def test_instances_share_a_class_where_they_can() -> None:
    source = load(CASES["an axis that one lacks"]).source("torch")
    assert "class Unit2" not in source
    assert "self.first = Unit(4, 3)" in source and "self.second = Unit(6, 5, other=True)" in source


def test_instances_in_one_layout_share_a_class() -> None:
    source = load(CASES["axes in another order"]).source("torch")
    assert "class Unit2" in source and "class Unit3" not in source


def test_the_index_in_a_repeated_group_is_that_of_the_repeat() -> None:
    """Not the place of a layer in its group: the third convolution is wider than the first, in a block with parameters."""
    source = compile_source(
        build_graph(
            """
specbuild: 1
model: Net
inputs: {x: {C: 3, H: 32, W: 32}}
blocks:
  Widening:
    params: {window: 3, growth: 2}
    inputs: {x: [C, H, W]}
    steps:
      - do: [conv: {channels: x.C, kernel: window + growth * i}, relu]
        repeat: 3
        as: convs
      - concat: {of: [convs.*], over: C}
steps: [Widening]
"""
        ),
        "torch",
    )
    kernels = re.findall(r"in_channels,\s+in_channels,\s+(window.*?),", source)
    assert kernels == ["window", "window + growth", "window + growth * 2"]

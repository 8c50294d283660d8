"""Counts from the graph alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import specbuild
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import count_parameters
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.cost import Cost, CostCounter, model_cost
from specbuild.summary import format_quantity, summarize_model, summary_rows

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))

RESNET = """\
specbuild: 1
model: ResNet
params: {classes: 1000, width: 64, depths: [3, 4, 6, 3]}
blocks:
  Bottleneck:
    params: {width: int, stride: 1}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: width, kernel: 1, bias: false}
      - batch_norm
      - relu
      - conv: {channels: width, stride: stride, bias: false}
      - batch_norm
      - relu
      - conv: {channels: 4 * width, kernel: 1, bias: false}
      - batch_norm:
        as: body
      - do:
          - conv: {channels: 4 * width, kernel: 1, stride: stride, bias: false}
          - batch_norm
        from: x
        when: stride != 1 or x.C != 4 * width
        as: downsample
      - add: [body, downsample]
      - relu
inputs: {image: {C: 3, H: 224, W: 224}}
steps:
  - conv: {channels: width, kernel: 7, stride: 2, bias: false}
    as: conv1
  - batch_norm
  - relu
  - max_pool: {kernel: 3, stride: 2, padding: 1}
  - Bottleneck: {width: width}
    repeat: depths[0]
    as: layer1
  - Bottleneck: {width: 2 * width, stride: "2 if i == 0 else 1"}
    repeat: depths[1]
    as: layer2
  - Bottleneck: {width: 4 * width, stride: "2 if i == 0 else 1"}
    repeat: depths[2]
    as: layer3
  - Bottleneck: {width: 8 * width, stride: "2 if i == 0 else 1"}
    repeat: depths[3]
    as: layer4
  - mean: {over: [H, W]}
  - linear: {features: classes}
    as: fc
"""


def net(steps: str, inputs: str = "{x: {C: 4, H: 8, W: 8}}", more: str = "") -> str:
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\n{more}steps:\n{steps}"


def test_resnet50() -> None:
    """As published: 25,557,032 parameters (torchvision), 4.09 G multiply-adds (He et al. count 3.8 without shortcuts)."""
    found = model_cost(build_graph(RESNET))
    assert (found.parameters, found.buffers, found.macs) == (25_557_032, 53_120, 4_089_184_256)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_as_many_as_the_emitted_file_holds(path: Path) -> None:
    model = build_graph(path)
    assert model_cost(model).parameters == count_parameters(model, "torch")


def test_one_convolution() -> None:
    found = model_cost(build_graph(net("  - conv: {channels: 6, kernel: 3, stride: 2, groups: 2}\n")))
    assert found == Cost(6 * 2 * 9 + 6, 0, 6 * 2 * 9 * 16, 6 * 16)


def test_reuse_has_its_weights_once_and_its_work_twice() -> None:
    once = model_cost(build_graph(net("  - conv: {channels: 4}\n    as: a\n")))
    twice = model_cost(build_graph(net("  - conv: {channels: 4}\n    as: a\n  - reuse: a\n")))
    assert twice.parameters == once.parameters == 4 * 4 * 9 + 4
    assert twice.macs == 2 * once.macs
    assert twice.activations == 2 * once.activations


def test_reuse_of_a_block() -> None:
    block = "blocks:\n  B:\n    steps:\n      - conv: {channels: x.C}\n      - batch_norm\n"
    once = model_cost(build_graph(net("  - B:\n    as: a\n", more=block)))
    twice = model_cost(build_graph(net("  - B:\n    as: a\n  - reuse: a\n", more=block)))
    assert (twice.parameters, twice.buffers) == (once.parameters, once.buffers) == (4 * 4 * 9 + 4 + 8, 8)
    assert twice.macs == 2 * once.macs


def test_alike_blocks_are_counted_each() -> None:
    """Instances that are alike are one object in the graph, but have weights of their own."""
    block = "blocks:\n  B:\n    steps:\n      - conv: {channels: x.C, bias: false}\n"
    model = build_graph(net("  - B:\n    repeat: 5\n    as: b\n", more=block))
    assert len({id(node.op) for node in model.nodes}) == 1
    assert model_cost(model).parameters == 5 * 4 * 4 * 9


def test_a_step_that_is_skipped_costs_nothing() -> None:
    model = build_graph(net("  - conv: {channels: 4}\n    when: 1 > 2\n  - relu\n"))
    assert model_cost(model) == Cost(activations=4 * 64)


def test_what_no_output_needs_is_not_counted() -> None:
    model = build_graph(net("  - relu:\n    as: a\n  - conv: {channels: 4}\n", more="outputs: [a]\n"))
    assert model_cost(model).parameters == 0


def test_parts_add_up() -> None:
    model, costs = build_graph(RESNET), CostCounter()
    parts = sum((costs.node_cost(node, model) for node in model.nodes), Cost())
    assert parts == model_cost(model) == sum((row.cost for row in summary_rows(model)), Cost())


def test_a_model_past_the_limit_is_refused() -> None:
    """10^11 parameters; nothing is allocated to find out."""
    wide = "  - conv: {channels: 1000000, kernel: 1}\n  - conv: {channels: 1000000, kernel: 1}\n"
    with pytest.raises(SpecError) as found:
        build_graph(net(wide, "{x: {C: 4, H: 1, W: 1}}"))
    assert found.value.code == "SB504"


@pytest.mark.parametrize("name", ["kernel", "stride", "dilation"])
@pytest.mark.parametrize("op", ["conv", "conv_transpose"])
def test_a_window_past_the_limit_is_refused(op: str, name: str) -> None:
    kernel = "" if name == "kernel" else "kernel: 1, "
    with pytest.raises(SpecError) as found:
        build_graph(net(f"  - {op}: {{channels: 4, {kernel}{name}: {10**9}}}\n"))
    assert (found.value.code, found.value.message) == ("SB504", f"{name} 1,000,000,000 is too large")


def test_summary_folds_what_repeats() -> None:
    lines = summarize_model(build_graph(RESNET), depth=2).splitlines()
    assert (
        lines[0].split() == "step op or block output parameters multiply-adds memory of multiply-adds".split()
    )
    start = next(i for i, line in enumerate(lines) if line.startswith("layer3"))
    assert [line.split()[:3] for line in lines[start : start + 3]] == [
        ["layer3", "Bottleneck", "x6"],
        ["0", "Bottleneck", "{C:"],
        ["1-5", "Bottleneck", "x5"],
    ]
    assert (
        lines[-1] == "ResNet: 25,557,032 parameters (and 53,120 in running statistics), "
        "4.09 G multiply-adds and 143 MiB of activations per sample"
    )
    assert max(map(len, lines[:-1])) <= 105


def test_summary_of_several_outputs() -> None:
    text = net(
        "  - relu:\n    as: a\n  - mean: {over: [H, W]}\n    as: b\n", more="outputs: {map: a, mean: b}\n"
    )
    assert (
        summarize_model(build_graph(text)).splitlines()[-1]
        == "outputs: map: {C: 4, H: 8, W: 8}, mean: {C: 4}"
    )


def test_summary_tells_what_is_used_again() -> None:
    text = summarize_model(build_graph(net("  - conv: {channels: 4}\n    as: a\n  - reuse: a\n")))
    assert "conv (reuses a)" in text


def test_units() -> None:
    assert [
        format_quantity(n) for n in (0, 999_999, 1_000_000, 4_089_184_256, 15_470_314_496, 2 * 10**12)
    ] == [
        "0",
        "999,999",
        "1 M",
        "4.09 G",
        "15.5 G",
        "2 T",
    ]


def test_long_chains_take_linear_time() -> None:
    """Nearly as many steps and groups as a model may have are counted and told in a few seconds."""
    steps = "  - do:\n      - conv: {channels: 4}\n      - relu\n    repeat: 1900\n    as: deep\n"
    model = specbuild.load(net(steps))
    assert model.parameters == 1900 * (4 * 4 * 9 + 4)
    assert len(model.summary(None).splitlines()) < 14
    assert json.dumps(model.cost.macs)

"""`deploy` on whole models: blocks keep their names and parameters, and the outputs stay the same in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.transform.deployed import BOUND, compare_deployed

BACKBONES = Path(__file__).parents[2] / "specbuild" / "library" / "backbones"

STAGES = """\
specbuild: 1
model: Net
params: {width: 8, depth: 3}
blocks:
  ConvNormAct:
    params: {channels: int, kernel: 3, stride: 1, norm: {type: block, default: batch_norm}, act: {type: block, default: relu}}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: channels, kernel: kernel, stride: stride, bias: false}
        as: conv
      - use: norm
      - use: act
  Separable:
    params: {channels: int}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C, groups: x.C, bias: false}
        as: depthwise
      - ConvNormAct: {channels: channels, kernel: 1, norm: none, act: none}
        as: pointwise
inputs: {image: {C: 3, H: 17, W: 13}}
steps:
  - do:
      - conv: {channels: width, bias: false}
      - batch_norm:
      - relu
      - conv: {channels: width, bias: false}
      - batch_norm:
      - relu
    as: stem
  - ConvNormAct: {channels: 2 * width, stride: "2 if i == 0 else 1"}
    repeat: depth
    as: stages
  - Separable: {channels: 2 * width}
    as: first
  - batch_norm:
    as: first_norm
  - relu
  - Separable: {channels: 2 * width}
    as: second
  - ConvNormAct: {channels: 6, act: none}
    as: head
  - mean: {over: [H, W]}
"""


def test_blocks_keep_their_form() -> None:
    """Norms inside blocks, in a group, after a block: blocks, repeats and parameters stay as the author has them."""
    compared = compare_deployed(STAGES)
    source = compared.model.source("torch")
    assert compared.difference < BOUND and "left" not in compared.changes
    assert compared.changes == {"folded": 7}
    assert "def __init__(self, width: int = 8, depth: int = 3) -> None:" in source
    assert "BatchNorm" not in source and "for _ in range(depth - 1)" in source
    assert '"0"' not in source and "ModuleList" not in source  # the stem is one row
    paths = [weight.path for weight in compared.model.compile_for("torch").weights]
    assert paths[:4] == ["stem.0.kernel", "stem.0.bias", "stem.2.kernel", "stem.2.bias"]
    assert [path for path in paths if path.startswith("second.pointwise")] == ["second.pointwise.conv.kernel"]
    assert "first.pointwise.conv.bias" in paths


def test_other_arguments() -> None:
    """The deployed class with other arguments is the deployed form of the spec with these values."""
    from specbuild import load
    from specbuild.transform.deployed_model import deploy_model

    namespace: dict[str, Any] = {"__name__": "deployed"}
    exec(compile(deploy_model(load(STAGES)).source("torch"), "deployed.py", "exec"), namespace)
    net = namespace["Net"](width=4, depth=2)
    expected = compare_deployed(STAGES, width=4, depth=2)
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    weights = expected.model.compile_for("torch").weights
    assert shapes == {w.framework_path: w.framework_shape for w in weights}
    assert expected.difference < BOUND


def test_a_norm_that_only_some_instances_can_lose() -> None:
    """Of two instances of a block, one has a tapped convolution: its norm stays, and one class serves both."""
    text = """\
specbuild: 1
model: Net
blocks:
  Unit:
    params: {channels: int}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: channels, bias: false}
        as: conv
      - batch_norm:
        as: norm
      - relu
inputs: {x: {C: 4, H: 6, W: 5}}
steps:
  - Unit: {channels: 4}
    as: a
  - Unit: {channels: 6}
    as: b
  - Unit: {channels: 8}
    as: c
outputs: {y: c, middle: b.conv}
"""
    compared = compare_deployed(text)
    assert compared.difference < BOUND and compared.changes == {"folded": 2, "left": 1}
    assert "read `conv` too" in compared.reasons["b.norm"]


def test_a_block_that_is_used_twice() -> None:
    """Weights that two calls share are folded once."""
    text = """\
specbuild: 1
model: Net
blocks:
  Unit:
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C, bias: false}
      - batch_norm:
      - relu
inputs: {x: {C: 4, H: 6, W: 5}}
steps:
  - Unit:
    as: a
  - reuse: a
  - max_pool: {kernel: 2}
  - reuse: a
"""
    compared = compare_deployed(text)
    assert compared.difference < BOUND and compared.changes == {"folded": 1}
    assert [w.path for w in compared.model.compile_for("torch").weights] == ["a.conv.kernel", "a.conv.bias"]


def test_a_step_that_another_block_names() -> None:
    """A step inside a block, reused by its path from outside, keeps its weights and its name."""
    text = """\
specbuild: 1
model: Net
blocks:
  Unit:
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C, bias: false}
        as: conv
      - batch_norm:
        as: norm
      - relu
inputs: {x: {C: 4, H: 6, W: 5}}
steps:
  - Unit:
    as: a
  - reuse: a.conv
  - relu
"""
    compared = compare_deployed(text)
    assert compared.difference < BOUND
    assert "other steps use the weights of `conv`" in compared.reasons["a.norm"]


REP = """\
specbuild: 1
model: Net
inputs: {image: {C: 3, H: 18, W: 14}}
steps:
  - RepVgg: {channels: 8, stride: 2}
    as: stem
  - RepVgg: {channels: 8}
    repeat: 2
    as: stage1
  - RepVgg: {channels: 12, groups: 4, stride: 2}
    as: down
  - RepVgg: {channels: 12, groups: 4}
    as: stage2
  - mean: {over: [H, W]}
"""


def test_rep_vgg() -> None:
    compared = compare_deployed(REP)
    source = compared.model.source("torch")
    assert compared.difference < BOUND
    assert sorted(set(compared.ops)) == ["conv", "mean", "relu"]
    assert source.count("nn.Conv2d(") == 1 and "self.rbr_dense = nn.Conv2d(" in source


MOBILE_ONE = """\
specbuild: 1
model: Net
inputs: {image: {C: 3, H: 18, W: 14}}
steps:
  - MobileOne: {channels: 8, stride: 2, branches: 1}
    as: stem
  - MobileOne: {channels: 8, groups: 8}
    as: depthwise
  - MobileOne: {channels: 12, kernel: 1, branches: 2}
    as: pointwise
  - MobileOne: {channels: 12, branches: 3}
    as: last
"""


def test_mobile_one() -> None:
    """Blocks with one, two, three and four branches are one class with one convolution."""
    compared = compare_deployed(MOBILE_ONE)
    source = compared.model.source("torch")
    assert compared.difference < BOUND
    assert compared.ops == ["conv", "relu"] * 4
    assert source.count("class MobileOne") == 1 and source.count("self.rbr_conv = nn.Conv2d(") == 1


# backbone -> a small form of it, and how many norms are folded
SMALL: dict[str, tuple[dict[str, Any], int]] = {
    "resnet": ({"depths": [1, 2, 1, 1], "classes": 10}, 1 + 3 * 5 + 4),
    "mobilenet_v2": ({"classes": 10, "width": 0.25}, 52),
    "xception": ({"classes": 10}, 40),
}


@pytest.mark.parametrize("name", SMALL)
def test_backbones(name: str) -> None:
    params, count = SMALL[name]
    text = (BACKBONES / f"{name}.yaml").read_text(encoding="utf-8")
    for size in ("224", "299"):
        text = text.replace(f"H: {size}, W: {size}", "H: 64, W: 64")
    compared = compare_deployed(text, **params)
    assert compared.changes["folded"] == count and "left" not in compared.changes
    assert compared.difference < BOUND
    assert "BatchNorm" not in compared.model.source("torch")


def test_features_of_a_deployed_model() -> None:
    """A value before a norm is a feature of the trained form: the norm after it stays then."""
    from specbuild import load
    from specbuild.transform.deployed_model import deploy_model

    model = deploy_model(load(REP))
    before, after = model.with_features("down.rbr_dense.conv"), model.with_features("stage1")
    kept = {m: [c.step for c in m.deployment.changes() if c.kind == "left"] for m in (before, after)}  # type: ignore[attr-defined]
    assert "down.rbr_dense.bn" in kept[before] and kept[after] == []
    assert list(after.graph.outputs) == ["mean", "stage1"]

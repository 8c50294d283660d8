"""Convolution blocks of the library against torchvision, timm and their papers, and in both backends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    build_block,
    check_parity,
    compare_module,
    make_parity_case,
    measure_difference,
    random_values,
)
from tests.parity_runner import ParityOf

models = lazy_module("torchvision.models")
ghostnet = lazy_module("timm.models.ghostnet")
efficientnet = lazy_module("timm.models._efficientnet_blocks")
byobnet = lazy_module("timm.models.byobnet")
res2net = lazy_module("timm.models.res2net")
timm = lazy_module("timm")

PARAMETERS = {
    "GhostModule: {channels: 64}": 64 * 32 + 64 + 32 * 9 + 64,
    "InvertedResidual: {channels: 64}": 2 * 64 * 384 + 9 * 384 + 2 * (384 + 384 + 64),
    "MBConv: {channels: 64}": 2 * 64 * 384 + 9 * 384 + 2 * (384 + 384 + 64) + 2 * 16 * 384 + 16 + 384,
    "FusedMBConv: {channels: 64}": 9 * 64 * 256 + 256 * 64 + 2 * (256 + 64),
    "SelectiveKernel: {channels: 64}": 8_768,  # 9,056 where all convolutions have biases
    "DenseLayer: {}": 2 * 64 + 64 * 128 + 2 * 128 + 9 * 128 * 32,
    "DenseTransition: {}": 2 * 64 + 64 * 32,
    "MobileOne: {channels: 64}": 37 * 64 * 64 + 6 * 128,
    "RepVgg: {channels: 64}": 10 * 64 * 64 + 3 * 128,
    "ShuffleUnit: {channels: 64}": 2 * 32 * 32 + 9 * 32 + 3 * 64,
    "Res2NetBottleneck: {planes: 16}": 2 * 64 * 24 + 9 * 3 * 6 * 6 + 2 * (24 + 18 + 64),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Of 64 channels: the sums are over the convolutions, their norms last."""
    assert load(block_text(step, "{x: {C: 64, H: 14, W: 11}}", "x")).parameters == PARAMETERS[step]


def text_of(step: str, channels: int = 6) -> str:
    return block_text(step, f"{{x: {{C: {channels}, H: 9, W: 7}}}}", "x")


# step -> channels that go in, and what makes the reference
REFERENCES: dict[str, tuple[int, Any]] = {
    "GhostModule: {channels: 8}": (6, lambda: ghostnet.GhostModule(6, 8)),
    "GhostModule: {channels: 7, ratio: 3, kernel: 3, cheap_kernel: 5, stride: 2}": (
        6,
        lambda: ghostnet.GhostModule(6, 7, 3, 3, 5, 2),
    ),
    "InvertedResidual: {channels: 8}": (
        8,
        lambda: efficientnet.InvertedResidual(8, 8, exp_ratio=6, act_layer=nn.ReLU6),
    ),
    "InvertedResidual: {channels: 5, kernel: 5, stride: 2, expansion: 3, squeeze: 4, activation: hard_silu}": (
        8,
        lambda: efficientnet.InvertedResidual(
            8,
            5,
            5,
            2,
            exp_ratio=3,
            act_layer=nn.Hardswish,
            se_layer=partial(efficientnet.SqueezeExcite, rd_channels=4),
        ),
    ),
    "MBConv: {channels: 8}": (
        8,
        lambda: efficientnet.InvertedResidual(
            8,
            8,
            exp_ratio=6,
            act_layer=nn.SiLU,
            se_layer=partial(efficientnet.SqueezeExcite, rd_ratio=0.25 / 6),
        ),
    ),
    "FusedMBConv: {channels: 8}": (
        8,
        lambda: efficientnet.EdgeResidual(8, 8, exp_ratio=4, act_layer=nn.SiLU),
    ),
    "FusedMBConv: {channels: 5, stride: 2}": (
        8,
        lambda: efficientnet.EdgeResidual(8, 5, stride=2, exp_ratio=4, act_layer=nn.SiLU),
    ),
    "SelectiveKernel: {channels: 8, groups: 2, reduction: 2, least: 3}": (
        6,
        lambda: timm.layers.SelectiveKernel(6, 8, groups=2, rd_channels=4, split_input=False),
    ),
    "SelectiveKernel: {channels: 8, kernels: [3, 5, 7], groups: 2, stride: 2, least: 5}": (
        6,
        lambda: timm.layers.SelectiveKernel(
            6, 8, [3, 5, 7], stride=2, groups=2, rd_channels=5, split_input=False
        ),
    ),
    "DenseBlock: {layers: 3, growth: 4, width: 2}": (6, lambda: models.densenet._DenseBlock(3, 6, 2, 4, 0.0)),
    "DenseTransition: {}": (6, lambda: models.densenet._Transition(6, 3)),
    "ShuffleUnit: {channels: 6}": (6, lambda: models.shufflenetv2.InvertedResidual(6, 6, 1)),
    "ShuffleUnit: {channels: 10, stride: 2}": (6, lambda: models.shufflenetv2.InvertedResidual(6, 10, 2)),
}


@pytest.mark.parametrize("step", REFERENCES)
def test_weights_of_the_reference_load_as_they_are(step: str) -> None:
    channels, make_reference = REFERENCES[step]
    compare_module(text_of(step, channels), make_reference(), random_values((3, channels, 9, 7)))


MOBILE_ONE = [("rbr_skip", "identity"), ("rbr_scale", "conv_scale"), ("rbr_conv", "conv_kxk")]
RENAMED: dict[str, tuple[int, Any, list[tuple[str, str]]]] = {
    "RepVgg: {channels: 6}": (
        6,
        lambda: byobnet.RepVggBlock(6, 6),
        [("rbr_identity", "identity"), ("rbr_dense", "conv_kxk"), ("rbr_1x1", "conv_1x1")],
    ),
    "RepVgg: {channels: 8, stride: 2, groups: 2}": (
        6,
        lambda: byobnet.RepVggBlock(6, 8, stride=2, group_size=3),
        [("rbr_dense", "conv_kxk"), ("rbr_1x1", "conv_1x1")],
    ),
    "MobileOne: {channels: 6}": (
        6,
        lambda: byobnet.MobileOneBlock(6, 6, num_conv_branches=4),
        MOBILE_ONE,
    ),
    "MobileOne: {channels: 8, stride: 2, groups: 2, branches: 1}": (
        6,
        lambda: byobnet.MobileOneBlock(6, 8, stride=2, group_size=3),
        MOBILE_ONE,
    ),
    "MobileOne: {channels: 6, kernel: 1, branches: 2}": (
        6,
        lambda: byobnet.MobileOneBlock(6, 6, kernel_size=1, num_conv_branches=2),
        MOBILE_ONE,
    ),
    "Res2NetBottleneck: {planes: 4, base_width: 48}": (
        16,
        lambda: res2net.Bottle2neck(16, 4, base_width=48, norm_layer=nn.BatchNorm2d, act_layer=nn.ReLU),
        [(f"scales.{i}.{name}", f"{name}s.{i}") for i in range(3) for name in ("conv", "bn")],
    ),
    "Res2NetBottleneck: {planes: 4, base_width: 32, scale: 3, stride: 2, first: true}": (
        6,
        lambda: res2net.Bottle2neck(
            6,
            4,
            stride=2,
            scale=3,
            base_width=32,
            norm_layer=nn.BatchNorm2d,
            act_layer=nn.ReLU,
            downsample=nn.Sequential(nn.Conv2d(6, 16, 1, 2, bias=False), nn.BatchNorm2d(16)),
        ),
        [(f"scales.{i}.{name}", f"{name}s.{i}") for i in range(2) for name in ("conv", "bn")],
    ),
}


@pytest.mark.parametrize("step", RENAMED)
def test_weights_of_timm_load_by_rules(step: str) -> None:
    channels, make_reference, names = RENAMED[step]
    compare_module(text_of(step, channels), make_reference(), random_values((3, channels, 9, 7)), names=names)


def test_an_expansion_of_one_has_no_first_convolution() -> None:
    """What torchvision's MobileNetV2 has as its first block."""
    [x] = random_values((3, 6, 9, 7))
    block: Any = build_block(text_of("InvertedResidual: {channels: 4, expansion: 1}"), [x])
    assert not [name for name, _ in block.named_parameters() if "pw." in name or "bn1" in name]

    def narrow(x: torch.Tensor) -> torch.Tensor:
        x = block.bn2(F.conv2d(x, block.conv_dw.weight, padding=1, groups=6)).clamp(0, 6)
        return block.bn3(F.conv2d(x, block.conv_pwl.weight))  # type: ignore[no-any-return]

    assert measure_difference(block, narrow, [x]) < TOLERANCE


CASES = {
    **{step: channels for step, (channels, _) in REFERENCES.items()},
    **{s: r[0] for s, r in RENAMED.items()},
}


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step, CASES[step]))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

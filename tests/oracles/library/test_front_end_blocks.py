"""What stands before transformers of sound and of series, graphs of joints: the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    make_parity_case,
    random_inputs,
)
from tests.parity_runner import ParityOf

SKELETON = "{x: {C: 3, T: 12, V: 5}, adjacency: {P: 2, V: 5, J: 5}}"


def wave_features(b: Any, x: Tensor) -> Tensor:
    y = x.transpose(1, 2)
    for i, (layer, stride) in enumerate(zip(b.conv_layers, (5, 2), strict=True)):
        y = F.conv1d(y, layer.conv.weight, stride=stride)
        if i == 0:  # each channel over time
            norm = layer.layer_norm
            y = (y - y.mean(2, keepdim=True)) / (y.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
            y = y * norm.weight[:, None] + norm.bias[:, None]
        y = F.gelu(y)
    return y.transpose(1, 2)


def spectrum_frames(b: Any, x: Tensor) -> Tensor:
    """With the positions of OpenAI's `sinusoids`."""
    y = F.gelu(F.conv1d(x.transpose(1, 2), b.conv1.weight, b.conv1.bias, padding=1))
    y = F.gelu(F.conv1d(y, b.conv2.weight, b.conv2.bias, stride=2, padding=1)).transpose(1, 2)
    increment = torch.log(torch.tensor(10000.0)) / (8 // 2 - 1)
    angles = torch.arange(y.shape[1])[:, None] * torch.exp(-increment * torch.arange(4))
    return y + torch.cat([angles.sin(), angles.cos()], 1)


def gated_residual(b: Any, x: Tensor, context: Tensor | None = None) -> Tensor:
    y = b.fc1(x)
    if context is not None:
        y = y + b.context_map(context)[:, None]
    value, gate = b.gate(b.fc2(F.elu(y))).chunk(2, -1)
    skip = b.skip(x) if hasattr(b, "skip") else x
    return b.norm(skip + value * torch.sigmoid(gate))  # type: ignore[no-any-return]


def skeleton(b: Any, x: Tensor, adjacency: Tensor, residual: bool = True) -> Tensor:
    """x: batch, T, V, C."""
    mapped = b.gcn(x).unflatten(3, (2, -1))
    y = torch.einsum("btvpc,bpvj->btjc", mapped, adjacency * b.edge_importance).permute(0, 3, 1, 2)
    weight = b.temporal.weight
    weight = weight.reshape(*weight.shape[:2], 3, 1)
    stride = 1 if mapped.shape[4] == x.shape[3] else 2
    normed = torch.relu(normalise(b.norm1, y))
    y = normalise(b.norm2, F.conv2d(normed, weight, b.temporal.bias, stride=(stride, 1), padding=(1, 0)))
    if not residual:
        return torch.relu(y).permute(0, 2, 3, 1)
    shortcut = x.permute(0, 3, 1, 2)
    if stride > 1:
        conv, norm = b.shortcut
        shortcut = F.conv2d(
            shortcut, conv.weight.reshape(*conv.weight.shape[:2], 1, 1), conv.bias, stride=(2, 1)
        )
        shortcut = normalise(norm, shortcut)
    return torch.relu(y + shortcut).permute(0, 2, 3, 1)


def normalise(norm: Any, x: Tensor) -> Tensor:
    moments = norm.running_mean, norm.running_var, norm.weight, norm.bias
    if norm.training:
        moments = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), norm.weight, norm.bias
    mean, variance, scale, shift = (m[:, None, None] for m in moments)
    return (x - mean) / (variance + norm.eps).sqrt() * scale + shift  # type: ignore[no-any-return]


Formula = Callable[..., Tensor]
CASES: dict[str, tuple[str, str, Formula]] = {
    "WaveFeatures: {channels: 4, kernels: [10, 3], strides: [5, 2]}": (
        "{x: {T: 64, C: 1}}",
        "x",
        wave_features,
    ),
    "SpectrumFrames: {features: 8}": ("{x: {T: 9, C: 5}}", "x", spectrum_frames),
    "GatedResidual: {hidden: 6}": ("{x: {T: 5, C: 6}}", "x", gated_residual),
    "GatedResidual: {hidden: 6, features: 3}": (
        "{x: {T: 5, C: 4}, context: {C: 2}}",
        "{x: x, context: context}",
        gated_residual,
    ),
    "SkeletonGraphConv: {channels: 4, kernel: 3, stride: 2}": (
        SKELETON,
        "{x: x, adjacency: adjacency}",
        skeleton,
    ),
    "SkeletonGraphConv: {channels: 4, kernel: 3, stride: 2, residual: false}": (
        SKELETON,
        "{x: x, adjacency: adjacency}",
        partial(skeleton, residual=False),
    ),
    "SkeletonGraphConv: {channels: 3, kernel: 3, residual: false}": (
        SKELETON,
        "{x: x, adjacency: adjacency}",
        partial(skeleton, residual=False),
    ),
    "SkeletonGraphConv: {channels: 3, kernel: 3}": (SKELETON, "{x: x, adjacency: adjacency}", skeleton),
}


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, reference = CASES[step]
    values = random_inputs(inputs)
    compare_formula(block_text(step, inputs, sources), reference, values)


def parity_case(step: str) -> ParityCase:
    inputs, sources, _ = CASES[step]
    return make_parity_case(block_text(step, inputs, sources))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


def test_frames_of_a_wave() -> None:
    """A frame of 512 numbers for 320 samples; 4,200,448 parameters, as in wav2vec 2.0."""
    net = load(block_text("WaveFeatures", "{x: {T: 16000, C: 1}}"))
    assert net.parameters == 4_200_448
    [frames] = net.graph.outputs.values()
    assert (int(frames.type["T"]), int(frames.type["C"])) == (49, 512)

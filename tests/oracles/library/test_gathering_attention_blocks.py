"""Blocks that gather what the whole map holds: timm's modules, the papers' formulas, and both backends."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_with,
    load_block,
    make_parity_case,
    random_tensor,
)
from tests.parity_runner import ParityOf

gather_excite = lazy_module("timm.layers.gather_excite")

# of 64 channels, on maps of 14x14
PARAMETERS = {
    "StyleRecalibration": 256,
    "GatherExcite": 0,
    "GatherExcite: {extent: 4}": 0,
    "GatherExcite: {perceptron: true}": 580,
    "GatherExcite: {learned: true}": 12_672,
    "GatherExcite: {learned: true, extent: 2}": 704,
    "GatherExcite: {learned: true, extent: 8}": 2_112,
    "ParNetAttention": 45_504,
    "DoubleAttention": 4_208,
    "ShuffleAttention": 24,
}
PARITY = [
    "StyleRecalibration",
    "GatherExcite: {perceptron: true, reduction: 4}",
    "GatherExcite: {extent: 2}",
    "GatherExcite: {extent: 4, learned: true}",
    "GatherExcite: {learned: true, perceptron: true}",
    "ParNetAttention",
    "DoubleAttention: {features: 3, descriptors: 5}",
    "DoubleAttention: {residual: false}",
    "ShuffleAttention: {groups: 2}",
]


def odd_map(channels: int = 16) -> Tensor:
    return random_tensor(3, channels, 9, 7)


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert load_block(block, 64).parameters == PARAMETERS[block]


@pytest.mark.parametrize("block", PARITY)
def test_keras_agrees(block: str, parity_of: ParityOf) -> None:
    def gathering_case(block: str) -> ParityCase:
        return make_parity_case(block_text(block))

    check_parity(parity_of(gathering_case))


class Style(nn.Module):
    """Section 3 of arXiv 1903.10829: style pooling, and a fully connected layer for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cfc = nn.Conv1d(channels, channels, 2, groups=channels, bias=False)
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        style = torch.stack([flat.mean(2), flat.std(2)], 2)
        return x * torch.sigmoid(self.bn(self.cfc(style)))[..., None]


def test_style_recalibration() -> None:
    compare_with(Style(16), "StyleRecalibration", odd_map())


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_gathering_without_weights_is_timms(extent: int) -> None:
    theirs = gather_excite.GatherExcite(16, extent=extent, use_mlp=False)
    compare_with(theirs, f"GatherExcite: {{extent: {extent}}}", odd_map())


class Gathered(nn.Module):
    """Section 3 of arXiv 1810.12348; timm's code for it cannot be made with weights (version 1.0.31)."""

    def __init__(self, convs: int, size: tuple[int, int], perceptron: bool) -> None:
        super().__init__()
        self.gather = nn.Sequential()
        for i in range(1, max(convs, 1) + 1):
            layer = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False)
            whole = nn.Conv2d(16, 16, size, groups=16, bias=False)
            self.gather.add_module(f"conv{i}", layer if convs else whole)
            self.gather.add_module(f"norm{i}", nn.BatchNorm2d(16))
            if i < convs:
                self.gather.add_module(f"act{i}", nn.ReLU())
        if perceptron:
            self.mlp = nn.Sequential()
            self.mlp.add_module("fc1", nn.Conv2d(16, 4, 1))
            self.mlp.add_module("act", nn.ReLU())
            self.mlp.add_module("fc2", nn.Conv2d(4, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.gather(x)
        if hasattr(self, "mlp"):
            y = self.mlp(y)
        return x * torch.sigmoid(F.interpolate(y, size=x.shape[2:]))


@pytest.mark.parametrize(("extent", "convs"), [(0, 0), (2, 1), (4, 2), (8, 3)])
def test_gathering_with_weights(extent: int, convs: int) -> None:
    arguments = f"extent: {extent}, learned: true"
    compare_with(Gathered(convs, (9, 7), False), f"GatherExcite: {{{arguments}}}", odd_map())
    block = f"GatherExcite: {{{arguments}, perceptron: true, reduction: 4}}"
    compare_with(Gathered(convs, (9, 7), True), block, odd_map())


class ParNet(nn.Module):
    """Figure 2 of arXiv 2110.07641."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sse = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())
        self.conv1x1 = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.conv3x3 = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.conv1x1(x) + self.conv3x3(x) + self.sse(x) * x)


def test_parnet_attention() -> None:
    compare_with(ParNet(16), "ParNetAttention", odd_map())


class Double(nn.Module):
    """Equations 4 and 5 of arXiv 1810.11579."""

    def __init__(self, features: int, descriptors: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.convA = nn.Conv2d(16, features, 1)
        self.convB = nn.Conv2d(16, descriptors, 1)
        self.convV = nn.Conv2d(16, descriptors, 1)
        self.conv_reconstruct = nn.Conv2d(features, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        shares = self.convB(x).flatten(2).softmax(2)
        gathered = self.convA(x).flatten(2) @ shares.transpose(1, 2)
        found = gathered @ self.convV(x).flatten(2).softmax(1)
        y = self.conv_reconstruct(found.unflatten(2, x.shape[2:]))
        return x + y if self.residual else y


def test_double_attention() -> None:
    compare_with(Double(3, 5, True), "DoubleAttention: {features: 3, descriptors: 5}", odd_map())
    compare_with(Double(4, 4, False), "DoubleAttention: {residual: false}", odd_map())


class Shuffled(nn.Module):
    """Section 3 of arXiv 2102.00240, with the shapes of the authors' code."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        half = channels // (2 * groups)
        self.groups = groups
        for name in ("cweight", "cbias", "sweight", "sbias"):
            self.register_parameter(name, nn.Parameter(torch.zeros(1, half, 1, 1)))
        self.gn = nn.GroupNorm(half, half)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        a, b = x.reshape(batch * self.groups, -1, height, width).chunk(2, dim=1)
        a = a * torch.sigmoid(self.cweight * F.adaptive_avg_pool2d(a, 1) + self.cbias)
        b = b * torch.sigmoid(self.sweight * self.gn(b) + self.sbias)
        y = torch.cat([a, b], 1).reshape(batch, 2, channels // 2, height, width)
        return y.transpose(1, 2).reshape(batch, channels, height, width)


def test_shuffle_attention() -> None:
    compare_with(Shuffled(24, 3), "ShuffleAttention: {groups: 3}", odd_map(24), strict=False)
    compare_with(Shuffled(128, 64), "ShuffleAttention: {groups: 64}", odd_map(128), strict=False)

"""Attention on maps: published sizes, the modules of timm and segmentation_models_pytorch, the papers' formulas, and
both backends."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.diagnostics.errors import SpecError
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

coord_attn = lazy_module("timm.layers.coord_attn")

# of 64 channels, with the defaults of each paper and of published code
PARAMETERS = {
    "CoordinateAttention": 1_688,
    "CoordinateAttention: {width: 8, bias: false}": 1_552,
    "TripletAttention": 300,
    "TripletAttention: {spatial: false}": 200,
    "SimAM": 0,
    "BottleneckAttention": 1_173,
    "ConcurrentSqueezeExcitation: {reduction: 16}": 645,
    "ConcurrentSqueezeExcitation": 4_257,
}
PARITY = [
    "CoordinateAttention",
    "CoordinateAttention: {width: 4, bias: false, activation: relu}",
    "TripletAttention",
    "TripletAttention: {kernel: 3, spatial: false}",
    "SimAM",
    "BottleneckAttention: {reduction: 4}",
    "BottleneckAttention: {reduction: 4, dilation: 2, combine: product}",
    "ConcurrentSqueezeExcitation",
    "ConcurrentSqueezeExcitation: {union: {concat: {over: C}}}",
]


def odd_map(channels: int = 16) -> Tensor:
    return random_tensor(3, channels, 9, 7)


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert load_block(block, 64).parameters == PARAMETERS[block]


@pytest.mark.parametrize("block", PARITY)
def test_keras_agrees(block: str, parity_of: ParityOf) -> None:
    def attention_case(block: str) -> ParityCase:
        return make_parity_case(block_text(block))

    check_parity(parity_of(attention_case))


@pytest.mark.parametrize("channels", [16, 64])
def test_coordinate_attention_is_timms(channels: int) -> None:
    theirs = coord_attn.CoordAttn(channels)
    compare_with(theirs, "CoordinateAttention: {width: 8, bias: false}", odd_map(channels))


def test_coordinate_attention_has_biases_and_is_at_least_8_wide() -> None:
    for channels, width in ((64, 8), (288, 9)):
        theirs = coord_attn.CoordAttn(channels, rd_channels=width, bias=True)
        compare_with(theirs, "CoordinateAttention", odd_map(channels))


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("conv", nn.Conv2d(2, 1, 7, padding=3, bias=False))
        self.conv.add_module("bn", nn.BatchNorm2d(1, momentum=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(torch.stack([x.max(1).values, x.mean(1)], 1)))


class Triplet(nn.Module):
    """Section 3.2 of arXiv 2010.03045: the tensor turned about the axis of its rows, and about that of its columns."""

    def __init__(self, spatial: bool) -> None:
        super().__init__()
        self.cw, self.hc = Gate(), Gate()
        if spatial:
            self.hw = Gate()

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            self.cw(x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3),
            self.hc(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1),
        ]
        if hasattr(self, "hw"):
            parts.append(self.hw(x))
        return torch.stack(parts).mean(0)


@pytest.mark.parametrize("spatial", [True, False])
def test_triplet_attention(spatial: bool) -> None:
    compare_with(Triplet(spatial), f"TripletAttention: {{spatial: {str(spatial).lower()}}}", odd_map())


class Energy(nn.Module):
    """Equation 5 of SimAM: the inverse of the least energy of a neuron."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[2] * x.shape[3] - 1
        distance = (x - x.mean((2, 3), keepdim=True)) ** 2
        variance = distance.sum((2, 3), keepdim=True) / count
        return x * torch.sigmoid((distance + 2 * variance + 2e-4) / (4 * (variance + 1e-4)))


def test_simam() -> None:
    compare_with(Energy(), "SimAM", odd_map())


def test_simam_refuses_a_map_of_one_place() -> None:
    with pytest.raises(SpecError, match="variance of 1 values with correction 1 divides by zero"):
        load(block_text("SimAM", "{x: {C: 16, H: 1, W: 1}}"))


class Bottleneck(nn.Module):
    """Section 3 of arXiv 1807.06514, with the layers of the authors' code."""

    def __init__(self, channels: int, width: int, dilation: int, product: bool) -> None:
        super().__init__()
        self.product = product
        self.channel_att, self.spatial_att = nn.Module(), nn.Module()
        self.channel_att.gate_c = nn.Sequential()
        for name, layer in {
            "gate_c_fc_0": nn.Linear(channels, width),
            "gate_c_bn_1": nn.BatchNorm1d(width),
            "gate_c_relu_1": nn.ReLU(),
            "gate_c_fc_final": nn.Linear(width, channels),
        }.items():
            self.channel_att.gate_c.add_module(name, layer)
        self.spatial_att.gate_s = nn.Sequential()
        for name, layer in {
            "gate_s_conv_reduce0": nn.Conv2d(channels, width, 1),
            "gate_s_bn_reduce0": nn.BatchNorm2d(width),
            "gate_s_relu_reduce0": nn.ReLU(),
            "gate_s_conv_di_0": nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            "gate_s_bn_di_0": nn.BatchNorm2d(width),
            "gate_s_relu_di_0": nn.ReLU(),
            "gate_s_conv_di_1": nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            "gate_s_bn_di_1": nn.BatchNorm2d(width),
            "gate_s_relu_di_1": nn.ReLU(),
            "gate_s_conv_final": nn.Conv2d(width, 1, 1),
        }.items():
            self.spatial_att.gate_s.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        channel = self.channel_att.gate_c(F.adaptive_avg_pool2d(x, 1).flatten(1))[:, :, None, None]
        place = self.spatial_att.gate_s(x)
        return x + x * torch.sigmoid(channel * place if self.product else channel + place)


def test_bottleneck_attention() -> None:
    compare_with(Bottleneck(16, 1, 4, False), "BottleneckAttention", odd_map())
    compare_with(
        Bottleneck(16, 4, 2, True),
        "BottleneckAttention: {reduction: 4, dilation: 2, combine: product}",
        odd_map(),
    )


@pytest.mark.parametrize("reduction", [2, 16])
def test_concurrent_squeeze_excitation(reduction: int) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    theirs = smp.base.modules.SCSEModule(32, reduction)
    compare_with(theirs, f"ConcurrentSqueezeExcitation: {{reduction: {reduction}}}", odd_map(32))


class Joined(nn.Module):
    """The other unions of both results, of arXiv 1808.08127."""

    def __init__(self, union: str) -> None:
        super().__init__()
        self.union = union
        self.cSE = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Sigmoid()
        )
        self.sSE = nn.Sequential(nn.Conv2d(16, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        a, b = x * self.cSE(x), x * self.sSE(x)
        if self.union == "maximum":
            return torch.maximum(a, b)
        return a * b if self.union == "multiply" else torch.cat([a, b], 1)


@pytest.mark.parametrize("union", ["maximum", "multiply", "{concat: {over: C}}"])
def test_unions_of_concurrent_squeeze_excitation(union: str) -> None:
    compare_with(Joined(union), f"ConcurrentSqueezeExcitation: {{union: {union}}}", odd_map())

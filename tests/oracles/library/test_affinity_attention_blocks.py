"""Attention between places, channels or features: timm's modules, the papers' formulas, and both backends."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    MAP,
    block_text,
    check_parity,
    compare_with,
    load_block,
    make_parity_case,
    random_tensor,
)
from tests.parity_runner import ParityOf

squeeze_excite = lazy_module("timm.layers.squeeze_excite")
cait = lazy_module("timm.models.cait")
xcit = lazy_module("timm.models.xcit")

TOKENS = "{x: {T: 9, C: 16}}"
PARAMETERS = {  # on maps of 64 channels
    "NonLocal": 8_352,
    "PositionAttention": 5_201,
    "ChannelAffinity": 1,
    "EffectiveSqueezeExcitation": 4_160,
    "GatedChannelTransformation": 192,
    "SpatialGroupEnhance: {groups: 8}": 16,
    "PolarizedSelfAttention": 8_545,
}
PARITY = {
    "NonLocal": MAP,
    "NonLocal: {pool: true, scaled: true}": MAP,
    "PositionAttention: {reduction: 4}": MAP,
    "ChannelAffinity": MAP,
    "ChannelAffinity: {unlike: true}": MAP,
    "EffectiveSqueezeExcitation": MAP,
    "GatedChannelTransformation": MAP,
    "SpatialGroupEnhance: {groups: 4}": MAP,
    "PolarizedSelfAttention": MAP,
    "PolarizedSelfAttention: {layout: sequential}": MAP,
    "ExternalAttention: {units: 5}": TOKENS,
    "ClassAttention: {heads: 4}": TOKENS,
    "TalkingHeadsAttention: {heads: 4}": TOKENS,
    "CrossCovarianceAttention: {heads: 4}": TOKENS,
}


def odd_map() -> Tensor:
    return random_tensor(3, 16, 9, 7)


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert load_block(block, 64).parameters == PARAMETERS[block]


def test_parameters_on_tokens() -> None:
    for block, count in (
        ("ExternalAttention", 8_192),
        ("CrossCovarianceAttention", 16_456),
        ("ClassAttention", 16_448),
        ("TalkingHeadsAttention", 16_592),
    ):
        assert load(block_text(block, "{x: {T: 16, C: 64}}")).parameters == count


@pytest.mark.parametrize("block", PARITY)
def test_keras_agrees(block: str, parity_of: ParityOf) -> None:
    def affinity_case(block: str) -> ParityCase:
        return make_parity_case(block_text(block, PARITY[block]))

    check_parity(parity_of(affinity_case))


class Embedded(nn.Module):
    """Equations 1, 4 and 6 of arXiv 1711.07971."""

    def __init__(self, scale: float, pool: bool) -> None:
        super().__init__()
        self.scale, self.pool = scale, pool
        self.g, self.theta, self.phi = (nn.Conv2d(16, 8, 1) for _ in range(3))
        self.conv_out = nn.Conv2d(8, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        values, keys = (F.max_pool2d(y, 2) if self.pool else y for y in (self.g(x), self.phi(x)))
        scores = self.theta(x).flatten(2).transpose(1, 2) @ keys.flatten(2)
        found = (scores * self.scale).softmax(2) @ values.flatten(2).transpose(1, 2)
        return x + self.conv_out(found.transpose(1, 2).reshape(len(x), 8, *x.shape[2:]))  # type: ignore[no-any-return]


def test_non_local() -> None:
    compare_with(Embedded(1, False), "NonLocal", odd_map())
    compare_with(Embedded(8**-0.5, True), "NonLocal: {pool: true, scaled: true}", odd_map())


def test_at_first_the_map_stays_as_it_is() -> None:
    x = odd_map()
    for block in ("NonLocal", "PositionAttention", "ChannelAffinity", "GatedChannelTransformation"):
        net = load(block_text(block)).build("torch")
        torch.testing.assert_close(net(x), x, rtol=0, atol=0)


class Positions(nn.Module):
    """Section 3.2 of arXiv 1809.02983."""

    def __init__(self) -> None:
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(16, 2, 1), nn.Conv2d(16, 2, 1)
        self.value_conv = nn.Conv2d(16, 16, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query_conv(x).flatten(2).transpose(1, 2) @ self.key_conv(x).flatten(2)
        found = self.value_conv(x).flatten(2) @ scores.softmax(2).transpose(1, 2)
        return x + self.gamma * found.view_as(x)  # type: ignore[no-any-return]


class Affinities(nn.Module):
    """Section 3.3 of arXiv 1809.02983, and the softmax of the authors' code."""

    def __init__(self, unlike: bool) -> None:
        super().__init__()
        self.unlike = unlike
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        energy = flat @ flat.transpose(1, 2)
        if self.unlike:
            energy = energy.amax(2, keepdim=True) - energy
        return x + self.gamma * (energy.softmax(2) @ flat).view_as(x)


def test_dual_attention() -> None:
    compare_with(Positions(), "PositionAttention", odd_map())
    compare_with(Affinities(False), "ChannelAffinity", odd_map() / 4)
    compare_with(Affinities(True), "ChannelAffinity: {unlike: true}", odd_map() / 4)


def test_effective_squeeze_excitation_is_timms() -> None:
    compare_with(squeeze_excite.EffectiveSEModule(16), "EffectiveSqueezeExcitation", odd_map())


class Gated(nn.Module):
    """Equations 2 to 4 of arXiv 1909.11519, with the shapes of the authors' code."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("alpha", "gamma", "beta"):
            self.register_parameter(name, nn.Parameter(torch.zeros(1, 16, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        embedding = ((x**2).sum((2, 3), keepdim=True) + 1e-5) ** 0.5 * self.alpha
        norm = self.gamma / ((embedding**2).mean(1, keepdim=True) + 1e-5) ** 0.5
        return x * (1 + torch.tanh(embedding * norm + self.beta))


def test_gated_channel_transformation() -> None:
    compare_with(Gated(), "GatedChannelTransformation", odd_map(), strict=False)


class External(nn.Module):
    """Algorithm 1 of arXiv 2105.02358."""

    def __init__(self) -> None:
        super().__init__()
        self.mk, self.mv = nn.Linear(16, 5, bias=False), nn.Linear(5, 16, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        shares = self.mk(x).softmax(1)
        return self.mv(shares / shares.sum(2, keepdim=True))  # type: ignore[no-any-return]


def test_external_attention() -> None:
    compare_with(External(), "ExternalAttention: {units: 5}", random_tensor(3, 9, 16))


def test_cross_covariance_attention_is_timms() -> None:
    theirs = xcit.XCA(16, num_heads=4)
    compare_with(theirs, "CrossCovarianceAttention: {heads: 4}", random_tensor(3, 9, 16), strict=False)


@pytest.mark.parametrize("bias", [False, True])
def test_attention_of_cait_is_timms(bias: bool) -> None:
    arguments = f"{{heads: 4, bias: {str(bias).lower()}}}"
    x = random_tensor(3, 9, 16)
    compare_with(cait.ClassAttn(16, num_heads=4, qkv_bias=bias), f"ClassAttention: {arguments}", x)
    compare_with(
        cait.TalkingHeadAttn(16, num_heads=4, qkv_bias=bias), f"TalkingHeadsAttention: {arguments}", x
    )


class Enhanced(nn.Module):
    """Equations 1 to 4 of arXiv 1905.09646, with the shapes of the authors' code."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight, self.bias = (nn.Parameter(torch.zeros(1, groups, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        parts = x.reshape(batch * self.groups, -1, height, width)
        likeness = (parts * F.adaptive_avg_pool2d(parts, 1)).sum(1).flatten(1)
        centred = likeness - likeness.mean(1, keepdim=True)
        t = (centred / (centred.std(1, keepdim=True) + 1e-5)).view(batch, self.groups, height, width)
        gate = torch.sigmoid(t * self.weight + self.bias)
        return (parts * gate.view(batch * self.groups, 1, height, width)).view_as(x)


def test_spatial_group_enhance() -> None:
    compare_with(Enhanced(4), "SpatialGroupEnhance: {groups: 4}", odd_map(), strict=False)


class Polarized(nn.Module):
    """Equations 2 to 5 of arXiv 2107.00782."""

    def __init__(self, sequential: bool) -> None:
        super().__init__()
        self.sequential = sequential
        self.channel, self.spatial = nn.Module(), nn.Module()
        self.channel.ch_wv, self.channel.ch_wq = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 1, 1)
        self.channel.ch_wz, self.channel.ln = nn.Conv2d(8, 16, 1), nn.LayerNorm(16)
        self.spatial.sp_wv, self.spatial.sp_wq = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        channel, spatial = self.channel, self.spatial
        found = channel.ch_wv(x).flatten(2) @ channel.ch_wq(x).flatten(2).softmax(2).transpose(1, 2)
        gate = torch.sigmoid(channel.ln(channel.ch_wz(found[..., None]).flatten(1)))
        by_channel = x * gate[:, :, None, None]
        seen = by_channel if self.sequential else x
        share = F.adaptive_avg_pool2d(spatial.sp_wq(seen), 1).flatten(1).softmax(1)
        gate = torch.sigmoid((share[:, None] @ spatial.sp_wv(seen).flatten(2)).view(len(x), 1, *x.shape[2:]))
        return seen * gate if self.sequential else by_channel + seen * gate


def test_polarized_self_attention() -> None:
    compare_with(Polarized(False), "PolarizedSelfAttention", odd_map())
    compare_with(Polarized(True), "PolarizedSelfAttention: {layout: sequential}", odd_map())

"""Token mixers, graph attention and blocks that choose kernels, against timm or their papers, and in both backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_module,
    make_parity_case,
    random_inputs,
)
from tests.parity_runner import ParityOf

mixers = lazy_module("timm.models.mlp_mixer")
metaformer = lazy_module("timm.models.metaformer")
focalnet = lazy_module("timm.models.focalnet")
volo = lazy_module("timm.models.volo")
layers = lazy_module("timm.layers")

MAP = "{x: {C: 8, H: 6, W: 5}}"
WIDE_MAP = "{x: {C: 32, H: 9, W: 8}}"
TOKENS = "{x: {T: 5, C: 8}}"
GRAPH = "{x: {T: 5, C: 6}, edges: {axes: {T: 5, S: 5}, dtype: bool}}"

PARAMETERS = {
    "GraphAttention: {}": ("{x: {T: 6, C: 64}, edges: {axes: {T: 6, S: 6}, dtype: bool}}", 4_288),
    "DynamicGraphAttention: {}": ("{x: {T: 6, C: 64}, edges: {axes: {T: 6, S: 6}, dtype: bool}}", 8_448),
    "SpatialGatingUnit: {}": ("{x: {T: 16, C: 64}}", 2 * 32 + 16 * 16 + 16),
    "FocalModulation: {}": ("{x: {C: 64, H: 14, W: 14}}", 19_011),
    "OutlookAttention: {}": ("{x: {C: 64, H: 14, W: 14}}", 18_786),
    "DifferentialAttention: {}": ("{x: {T: 16, C: 64}}", 16_496),
    "DynamicRelu: {}": ("{x: {C: 64, H: 14, W: 14}}", 64 * 16 + 16 + 16 * 256 + 256),
    "GlobalFilter: {}": ("{x: {C: 64, H: 14, W: 14}}", 14_336),
    "PyramidSqueezeAttention: {channels: 64}": ("{x: {C: 64, H: 14, W: 14}}", 27_121),
    "FrequencyChannelAttention: {}": ("{x: {C: 64, H: 14, W: 14}}", 512),
}


def text_of(step: str, inputs: str) -> str:
    return block_text(step, inputs, "{x: x, edges: edges}" if "edges" in inputs else "x")


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, expected = PARAMETERS[step]
    assert load(text_of(step, inputs)).parameters == expected


class ChannelsLast(nn.Module):
    """A module of maps whose channels are last, for maps whose channels are first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def make_pool_former() -> nn.Module:
    return metaformer.MetaFormerBlock(  # type: ignore[no-any-return]
        8, norm_layer=metaformer.GroupNorm1, mlp_act=nn.GELU, mlp_bias=True, layer_scale_init_value=1e-5
    )


Names = list[tuple[str, str]]
# step -> inputs, what makes the reference, parts of names that it has otherwise, whether all shapes are the same
REFERENCES: dict[str, tuple[str, Callable[[], nn.Module], Names, bool]] = {
    "SpatialGatingUnit: {}": (TOKENS, lambda: mixers.SpatialGatingUnit(8, 5), [], True),
    "GmlpLayer: {hidden: 16}": (TOKENS, lambda: mixers.SpatialGatingBlock(8, 5, mlp_ratio=2), [], True),
    "MixerLayer: {token_hidden: 4, hidden: 16}": (
        TOKENS,
        lambda: mixers.MixerBlock(8, 5, mlp_ratio=(0.5, 2)),
        [],
        True,
    ),
    "ResMlpLayer: {hidden: 16}": (
        TOKENS,
        lambda: mixers.ResBlock(8, 5, mlp_ratio=2),
        [("ls1.gamma", "ls1"), ("ls2.gamma", "ls2")],
        False,
    ),
    "PoolFormerLayer: {}": (MAP, make_pool_former, [("1.gamma", "1.scale"), ("2.gamma", "2.scale")], True),
    "FocalModulation: {levels: 3}": (
        MAP,
        lambda: focalnet.FocalModulation(8, 3, 3),
        [(f"layers.{i}.conv", f"layers.{i}.0") for i in range(3)],
        True,
    ),
    "OutlookAttention: {}": (
        MAP,
        lambda: ChannelsLast(volo.OutlookAttention(8, 2)),
        [("v.", "inner.v."), ("attn.", "inner.attn."), ("proj.", "inner.proj.")],
        True,
    ),
}


@pytest.mark.parametrize("step", REFERENCES)
def test_weights_of_timm_load(step: str) -> None:
    inputs, make_reference, names, strict = REFERENCES[step]
    compare_module(text_of(step, inputs), make_reference(), random_inputs(inputs), strict, names)


def attend_to_neighbours(net: Any, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """GAT, equations 3 to 6: the score of a pair is a . [W h_i, W h_j]."""
    mapped = F.linear(x, net.lin.weight).unflatten(-1, (2, 3))
    scores = torch.einsum("bihc,hc->bih", mapped, net.att_dst)[:, :, None] + torch.einsum(
        "bjhc,hc->bjh", mapped, net.att_src
    ).unsqueeze(1)
    scores = F.leaky_relu(scores, 0.2).masked_fill(~edges[..., None], -math.inf)
    return torch.einsum("bijh,bjhc->bihc", scores.softmax(2), mapped)


def graph_attention(net: Any, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    return attend_to_neighbours(net, x, edges).flatten(2) + net.bias


def last_graph_attention(net: Any, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    return attend_to_neighbours(net, x, edges).mean(2) + net.bias


def dynamic_graph_attention(net: Any, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """GATv2, equation 7: a . leaky_relu(W [h_i, h_j])."""
    speaking, hearing = net.lin_l(x).unflatten(-1, (2, 3)), net.lin_r(x).unflatten(-1, (2, 3))
    pairs = F.leaky_relu(hearing[:, :, None] + speaking[:, None], 0.2)
    scores = (pairs * net.att).sum(-1).masked_fill(~edges[..., None], -math.inf)
    return torch.einsum("bijh,bjhc->bihc", scores.softmax(2), speaking).flatten(2) + net.bias


def differential_attention(net: Any, x: torch.Tensor) -> torch.Tensor:
    """Equations 1 to 3, for a layer of depth 3."""
    start = 0.8 - 0.6 * math.exp(-0.9)
    query, key, value = net.qkv(x).chunk(3, -1)
    query, key = (v.unflatten(-1, (2, 2, 2)) for v in (query, key))  # heads, signal and noise, features
    shares = (torch.einsum("bthdc,bshdc->bhdts", query, key) / math.sqrt(2)).softmax(-1)
    factors = [(layer.query * layer.key).sum().exp() for layer in (net.lambda1, net.lambda2)]
    difference = shares[:, :, 0] - (factors[0] - factors[1] + start) * shares[:, :, 1]
    found = torch.einsum("bhts,bshc->bthc", difference, value.unflatten(-1, (2, 4)))
    found = found * (found.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * net.sub_norm.weight
    return net.proj((found * (1 - start)).flatten(2))  # type: ignore[no-any-return]


def conditional_conv(net: Any, x: torch.Tensor) -> torch.Tensor:
    shares = net.routing_fn(x.mean((2, 3))).sigmoid()
    kernels = torch.einsum("bk,koihw->boihw", shares, net.weight)
    convolved = [F.conv2d(a[None], k, stride=2, padding=1, groups=2) for a, k in zip(x, kernels, strict=True)]
    return torch.cat(convolved)


def dynamic_relu(net: Any, x: torch.Tensor) -> torch.Tensor:
    """As MMDetection computes it."""
    numbers = F.hardsigmoid(net.fc2(F.relu(net.fc1(x.mean((2, 3)))))) - 0.5
    a1, b1, a2, b2 = (part[:, :, None, None] for part in numbers.chunk(4, 1))
    return torch.max(x * (a1 * 2 + 1) + b1, x * (a2 * 2) + b2)


def global_filter(net: Any, x: torch.Tensor) -> torch.Tensor:
    spectrum = torch.fft.rfft2(x, norm="ortho")
    filtered = spectrum * torch.view_as_complex(net.complex_weight).permute(2, 0, 1)
    return torch.fft.irfft2(filtered, s=x.shape[2:], norm="ortho")


def fourier_mixer(net: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.fft.fft2(x).real


def pyramid_squeeze_attention(net: Any, x: torch.Tensor) -> torch.Tensor:
    maps = [
        F.conv2d(x, conv.weight, stride=2, padding=k // 2, groups=g)
        for conv, k, g in zip(net.scales, (3, 5), (1, 2), strict=True)
    ]
    gates = [net.fc2(F.relu(net.fc1(m.mean((2, 3))))).sigmoid() for m in maps]
    shares = torch.stack(gates).softmax(0)[..., None, None]
    return torch.cat([m * s for m, s in zip(maps, shares, strict=True)], 1)


ROWS, COLUMNS = (
    (0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2),
    (0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2),
)


def frequency_channel_attention(net: Any, x: torch.Tensor) -> torch.Tensor:
    """As the authors' code builds its filter, number by number."""

    def wave(place: int, frequency: int) -> float:
        value = math.cos(math.pi * frequency * (place + 0.5) / 7) / math.sqrt(7)
        return value if frequency == 0 else value * math.sqrt(2)

    table = torch.zeros(32, 7, 7)
    for channel in range(32):
        group = channel // 2
        for h in range(7):
            for w in range(7):
                table[channel, h, w] = wave(h, ROWS[group]) * wave(w, COLUMNS[group])
    seen = (F.adaptive_avg_pool2d(x, 7) * table).sum((2, 3))
    return x * net.widen(F.relu(net.reduce(seen))).sigmoid()[..., None, None]  # type: ignore[no-any-return]


def pooled_self_attention(net: Any, x: torch.Tensor) -> torch.Tensor:
    query = F.conv2d(x, net.theta.weight).flatten(2)
    key, value = (F.max_pool2d(F.conv2d(x, layer.weight), 2).flatten(2) for layer in (net.phi, net.g))
    shares = torch.einsum("bct,bcs->bts", query, key).softmax(-1)
    found = torch.einsum("bts,bcs->bct", shares, value).unflatten(-1, x.shape[2:])
    return x + net.gamma * F.conv2d(found, net.o.weight)


FORMULAS: dict[str, tuple[str, Callable[..., torch.Tensor]]] = {
    "GraphAttention: {heads: 2, features: 3}": (GRAPH, graph_attention),
    "GraphAttention: {heads: 2, features: 3, joined: false}": (GRAPH, last_graph_attention),
    "DynamicGraphAttention: {heads: 2, features: 3}": (GRAPH, dynamic_graph_attention),
    "DifferentialAttention: {heads: 2, depth: 3}": (TOKENS, differential_attention),
    "ConditionalConv: {channels: 4, stride: 2, groups: 2, experts: 3}": (MAP, conditional_conv),
    "DynamicRelu: {reduction: 2}": (MAP, dynamic_relu),
    "GlobalFilter: {}": (MAP, global_filter),
    "FourierMixer: {}": (TOKENS, fourier_mixer),
    "PyramidSqueezeAttention: {channels: 8, kernels: [3, 5], groups: [1, 2], stride: 2, reduction: 2}": (
        MAP,
        pyramid_squeeze_attention,
    ),
    "FrequencyChannelAttention: {}": (WIDE_MAP, frequency_channel_attention),
    "PooledSelfAttention: {reduction: 4}": (MAP, pooled_self_attention),
}


def give_inputs(inputs: str) -> list[torch.Tensor]:
    """Return inputs, in which each node of a graph hears itself."""
    values = random_inputs(inputs)
    if "edges" in inputs:
        values[1] |= torch.eye(5, dtype=torch.bool)
    return values


@pytest.mark.parametrize("step", FORMULAS)
def test_as_the_paper_says(step: str) -> None:
    inputs, reference = FORMULAS[step]
    compare_formula(text_of(step, inputs), reference, give_inputs(inputs))


CASES = {
    **{s: r[0] for s, r in REFERENCES.items()},
    **{s: r[0] for s, r in FORMULAS.items() if r[0] != GRAPH},
}


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step, CASES[step]))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

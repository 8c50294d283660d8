"""Attention to near places, and linear attention by random features: timm's module, the papers' formulas, and both backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_with,
    make_parity_case,
    random_inputs,
    random_tensor,
)
from tests.parity_runner import ParityOf

halo_attn = lazy_module("timm.layers.halo_attn")
mvitv2 = lazy_module("timm.models.mvitv2")

PARAMETERS = {  # as published code has them
    "HaloAttention: {block: 7}": ("{x: {C: 64, H: 14, W: 14}}", 12_688),
    "ContextualTransformer": ("{x: {C: 64, H: 14, W: 14}}", 26_744),
    "FavorAttention": ("{x: {T: 16, C: 64}}", 16_640),
    "PartialSelfAttention": ("{x: {C: 128, H: 14, W: 14}}", 63_424),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs)).parameters == parameters


def neighbourhood(b: Any, x: Tensor) -> Tensor:
    """Place by place: a window of three, moved inside the map at its borders."""
    _, channels, height, width = x.shape
    q, k, v = b.qkv(x.permute(0, 2, 3, 1)).unflatten(3, (3, 2, -1)).unbind(3)
    found = torch.zeros_like(q)
    for i in range(height):
        for j in range(width):
            top, left = min(max(i - 1, 0), height - 3), min(max(j - 1, 0), width - 3)
            keys, values = (m[:, top : top + 3, left : left + 3].flatten(1, 2) for m in (k, v))
            rows = torch.arange(top, top + 3) - i + 2
            columns = torch.arange(left, left + 3) - j + 2
            bias = b.rpb[:, rows][:, :, columns].flatten(1)
            scores = torch.einsum("bhc,bshc->bhs", q[:, i, j], keys) * (channels // 2) ** -0.5 + bias
            found[:, i, j] = torch.einsum("bhs,bshc->bhc", scores.softmax(2), values)
    return b.proj(found.flatten(3)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def contextual(b: Any, x: Tensor) -> Tensor:
    """With a loop over the nine neighbours; channel c has kernel c modulo the number of kernels."""
    batch, channels, height, width = x.shape
    static = b.key_embed(x)
    kernels = b.embed(torch.cat([x, static], 1)).view(batch, channels // 8, 9, height, width)
    value = F.pad(b.value(x), (1, 1, 1, 1))
    summed = sum(
        kernels[:, torch.arange(channels) % (channels // 8), 3 * i + j]
        * value[:, :, i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )
    both = torch.stack([F.silu(b.bn(summed)), static], 2)
    shares = b.se(both.sum(2).mean((2, 3), keepdim=True)).view(batch, channels, 2).softmax(2)
    return (both * shares[..., None, None]).sum(2)


def favor(b: Any, x: Tensor) -> Tensor:
    q, k, v = (layer(x).unflatten(2, (2, -1)).transpose(1, 2) for layer in (b.query, b.key, b.value))
    size = q.shape[-1]

    def features(y: Tensor, axes: tuple[int, ...]) -> Tensor:
        y = y / size**0.25
        seen = y @ (b.projection * math.sqrt(size)).T
        return torch.exp(seen - y.square().sum(-1, keepdim=True) / 2 - seen.detach().amax(axes, True)) + 1e-4

    queries, keys = features(q, (-1,)), features(k, (-2, -1))
    pairs = queries @ keys.transpose(2, 3)
    found = pairs @ v / pairs.sum(3, keepdim=True)
    return b.project(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def partial_attention(b: Any, x: Tensor) -> Tensor:
    around, y = b.enter(x).chunk(2, 1)
    for layer in b.layers:
        attn = layer.attention
        query, key, value = attn.qkv(y).unflatten(1, (2, -1)).split([2, 2, 4], 2)
        scores = query.flatten(3).transpose(2, 3) @ key.flatten(3) * 2**-0.5
        found = (value.flatten(3) @ scores.softmax(3).transpose(2, 3)).reshape(y.shape)
        y = y + attn.project(found + attn.position_norm(attn.position(value.flatten(1, 2))))
        y = y + layer.narrow(layer.widen(y))
    return b.leave(torch.cat([around, y], 1))  # type: ignore[no-any-return]


MAP = "{x: {C: 16, H: 6, W: 5}}"
Formula = Callable[..., Tensor]
CASES: dict[str, tuple[str, Formula]] = {
    "NeighborhoodAttention: {heads: 2, kernel: 3}": ("{x: {C: 4, H: 6, W: 5}}", neighbourhood),
    "ContextualTransformer": (MAP, contextual),
    "FavorAttention: {heads: 2, features: 6}": ("{x: {T: 7, C: 8}}", favor),
    "PartialSelfAttention: {depth: 2, heads: 2}": (MAP, partial_attention),
}


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, reference = CASES[step]
    compare_formula(block_text(step, inputs), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    inputs = CASES[step][0] if step in CASES else "{x: {C: 8, H: 4, W: 6}}"
    return make_parity_case(block_text(step, inputs))


OF_TIMM = [
    "HaloAttention: {heads: 2, block: 2, halo: 1}",
    "PoolingAttention: {channels: 6, heads: 2, key_stride: 2}",
]


@pytest.mark.parametrize("step", [*CASES, *OF_TIMM])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


@pytest.mark.parametrize(("block", "halo"), [(2, 1), (4, 2)])
def test_halo_attention_is_timms(block: int, halo: int) -> None:
    theirs = halo_attn.HaloAttn(8, num_heads=2, block_size=block, halo_size=halo, qkv_bias=True)
    ours = f"HaloAttention: {{heads: 2, block: {block}, halo: {halo}, bias: true}}"
    compare_with(theirs, ours, random_tensor(3, 8, 4, 8))


NAMES = [(name, f"attn.{name}") for name in ("qkv", "proj", "pool_", "norm_", "rel_pos_")]


class OnMaps(nn.Module):
    """timm's pooling attention reads tokens and the size of their map."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn

    def forward(self, x: Tensor) -> Tensor:
        y, size = self.attn(x.flatten(2).transpose(1, 2), list(x.shape[2:]))
        return y.transpose(1, 2).unflatten(2, tuple(size))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("query", "key"), [(1, 2), (2, 1), (1, 1)])
def test_pooling_attention_is_timms(query: int, key: int) -> None:
    theirs = mvitv2.MultiScaleAttention(
        8,
        12,
        (6, 6),
        num_heads=2,
        kernel_q=(3, 3),
        kernel_kv=(3, 3),
        stride_q=(query, query),
        stride_kv=(key, key),
        has_cls_token=False,
    )
    ours = f"PoolingAttention: {{channels: 12, heads: 2, query_stride: {query}, key_stride: {key}}}"
    compare_with(OnMaps(theirs), ours, random_tensor(3, 8, 6, 6), names=NAMES)


def test_random_features_estimate_attention() -> None:
    """With many features, the result is close to that of softmax attention."""
    text = block_text("FavorAttention: {heads: 1, features: 16384, epsilon: 0.0}", "{x: {T: 7, C: 4}}")
    block: Any = load(text).build("torch").block
    numbers = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_(std=0.2, generator=numbers)
        block.projection.normal_(std=0.5, generator=numbers)
        x = random_tensor(2, 7, 4)
        q, k, v = block.query(x), block.key(x), block.value(x)
        exact = block.project(F.scaled_dot_product_attention(q, k, v))
        mean_of_values = block.project(v.mean(1, keepdim=True))
        assert (block(x) - exact).abs().max() < (mean_of_values - exact).abs().max() / 10

"""Attention along rows, columns and tokens at a low cost, and kernels of one's own: timm's modules, the papers' formulas,
and both backends."""

from __future__ import annotations

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

bottleneck_attn = lazy_module("timm.layers.bottleneck_attn")
grn = lazy_module("timm.layers.grn")
pvt_v2 = lazy_module("timm.models.pvt_v2")

MAP, TOKENS = "{x: {C: 64, H: 14, W: 14}}", "{x: {T: 16, C: 64}}"
PARAMETERS = {  # of 64 channels
    "CrissCrossAttention": (MAP, 5_201),
    "AxialAttention": (MAP, 32_896),
    "RelativeMapAttention": (MAP, 13_152),
    "AugmentedConv: {channels: 64, keys: 16, values: 16, heads: 4}": (MAP, 31_304),
    "LinearAttention": (TOKENS, 16_640),
    "EfficientAttention": (TOKENS, 16_640),
    "SeparableSelfAttention": (TOKENS, 12_545),
    "AttentionFreeTransformer": (TOKENS, 12_736),
    "AttentionFreeTransformer: {bias: false}": (TOKENS, 12_480),
    "LinearisedAttention: {tokens: 4}": (TOKENS, 16_768),
    "SpatialReductionAttention": (MAP, 33_216),
    "Involution": (MAP, 4_388),  # 4,404 where the first convolution has biases before its norm
    "LargeKernelAttention": (MAP, 9_024),
    "ResponseNorm": (MAP, 128),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs)).parameters == parameters


def criss_cross(b: Any, x: Tensor) -> Tensor:
    """Place by place: the other places of its column, and all of its row."""
    q, k, v = b.query_conv(x), b.key_conv(x), b.value_conv(x)
    found = torch.zeros_like(x)
    for i in range(x.shape[2]):
        others = [row for row in range(x.shape[2]) if row != i]
        for j in range(x.shape[3]):
            keys = torch.cat([k[:, :, others, j], k[:, :, i]], 2)
            values = torch.cat([v[:, :, others, j], v[:, :, i]], 2)
            share = torch.einsum("bc,bcs->bs", q[:, :, i, j], keys).softmax(1)
            found[:, :, i, j] = torch.einsum("bs,bcs->bc", share, values)
    return x + b.gamma * found  # type: ignore[no-any-return]


def along_rows(b: Any, x: Tensor) -> Tensor:
    """Attention of each row of a map whose channels are last."""
    q, k, v = (part.unflatten(3, (2, -1)).transpose(2, 3) for part in b.attn.qkv(x).chunk(3, 3))
    found = F.scaled_dot_product_attention(q, k, v)
    return b.attn.proj(found.transpose(2, 3).flatten(3))  # type: ignore[no-any-return]


def axial(b: Any, x: Tensor) -> Tensor:
    x = x.permute(0, 2, 3, 1)
    columns = along_rows(b.columns, x.transpose(1, 2)).transpose(1, 2)
    return (columns + along_rows(b.rows, x)).permute(0, 3, 1, 2)


def augmented(b: Any, x: Tensor) -> Tensor:
    """Scores of pairs, one after another: query . (key + row distance + column distance)."""
    batch, _, height, width = x.shape
    query, key, value = b.qkv_conv(x).split([4, 4, 6], 1)
    split = lambda part: part.flatten(2).unflatten(1, (2, -1)).transpose(2, 3)  # noqa: E731
    q, k, v = split(query) * 2**-0.5, split(key), split(value)
    places = [(i, j) for i in range(height) for j in range(width)]
    rows = torch.tensor([[i2 - i + height - 1 for i2, _ in places] for i, _ in places])
    columns = torch.tensor([[j2 - j + width - 1 for _, j2 in places] for _, j in places])
    distance = b.relative.height_rel[rows] + b.relative.width_rel[columns]
    scores = q @ k.transpose(2, 3) + torch.einsum("bhtc,tsc->bhts", q, distance)
    found = (scores.softmax(3) @ v).transpose(2, 3).reshape(batch, 6, height, width)
    return torch.cat([b.conv_out(x), b.attn_out(found)], 1)


def split_heads(x: Tensor) -> Tensor:
    return x.unflatten(2, (4, -1)).transpose(1, 2)


def linear_attention(b: Any, x: Tensor) -> Tensor:
    q, k, v = split_heads(b.query(x)), split_heads(b.key(x)), split_heads(b.value(x))
    weight = (F.elu(q) + 1) @ (F.elu(k) + 1).transpose(2, 3)
    found = weight @ v / (weight.sum(3, keepdim=True) + 1e-6)
    return b.project(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def efficient_attention(b: Any, x: Tensor) -> Tensor:
    q, k, v = split_heads(b.query(x)), split_heads(b.key(x)), split_heads(b.value(x))
    found = (q.softmax(3) @ k.softmax(2).transpose(2, 3)) @ v
    return b.project(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def separable(b: Any, x: Tensor) -> Tensor:
    query, key, value = b.qkv_proj(x).split([1, 8, 8], 2)
    context = (query.softmax(1) * key).sum(1, keepdim=True)
    return b.out_proj(torch.relu(value) * context)  # type: ignore[no-any-return]


def attention_free(b: Any, x: Tensor) -> Tensor:
    weight = b.fc_k(x).exp()
    biases = [p for name, p in b.named_parameters() if name.endswith("position_biases")]
    pairs = biases[0].exp() if biases else torch.ones(7, 7)
    found = torch.einsum("ts,bsc->btc", pairs, weight * b.fc_v(x)) / torch.einsum(
        "ts,bsc->btc", pairs, weight
    )
    return torch.sigmoid(b.fc_q(x)) * found  # type: ignore[no-any-return]


def linearised(b: Any, x: Tensor) -> Tensor:
    q, k, v = b.query(x), b.E.weight @ b.key(x), b.F.weight @ b.value(x)
    found = F.scaled_dot_product_attention(split_heads(q), split_heads(k), split_heads(v))
    return b.project(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def involution(b: Any, x: Tensor) -> Tensor:
    """Place by place, on the map with a border of zeros."""
    batch, _, height, width = x.shape
    norm = b.norm1
    y = F.batch_norm(b.conv1(x), norm.running_mean, norm.running_var, norm.weight, norm.bias)
    kernels = b.conv2(torch.relu(y)).view(batch, 2, 3, 3, height, width)
    padded, found = F.pad(x, (1, 1, 1, 1)), torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            window = padded[:, :, i : i + 3, j : j + 3].unflatten(1, (2, -1))
            found[:, :, i, j] = (window * kernels[:, :, None, :, :, i, j]).sum((3, 4)).flatten(1)
    return found


def large_kernel(b: Any, x: Tensor) -> Tensor:
    y = F.conv2d(x, b.conv0.weight, b.conv0.bias, padding=2, groups=8)
    y = F.conv2d(y, b.conv_spatial.weight, b.conv_spatial.bias, padding=9, groups=8, dilation=3)
    return x * b.conv1(y)  # type: ignore[no-any-return]


ODD, SEQUENCE = "{x: {C: 8, H: 5, W: 4}}", "{x: {T: 7, C: 8}}"
CASES: dict[str, tuple[str, Callable[..., Any]]] = {
    "CrissCrossAttention: {reduction: 2}": (ODD, criss_cross),
    "AxialAttention: {heads: 2}": (ODD, axial),
    "AxialAttention: {heads: 2, axes: rows}": (
        ODD,
        lambda b, x: along_rows(b.rows, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    ),
    "AxialAttention: {heads: 2, axes: columns}": (
        ODD,
        lambda b, x: along_rows(b.columns, x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1),
    ),
    "AugmentedConv: {channels: 10, keys: 4, values: 6, heads: 2}": (ODD, augmented),
    "LinearAttention: {heads: 4}": (SEQUENCE, linear_attention),
    "EfficientAttention: {heads: 4}": (SEQUENCE, efficient_attention),
    "SeparableSelfAttention: {}": (SEQUENCE, separable),
    "AttentionFreeTransformer: {}": (SEQUENCE, attention_free),
    "AttentionFreeTransformer: {bias: false}": (SEQUENCE, attention_free),
    "LinearisedAttention: {heads: 4, tokens: 3}": (SEQUENCE, linearised),
    "Involution: {kernel: 3, group_size: 4, reduction: 2}": (ODD, involution),
    "LargeKernelAttention: {}": (ODD, large_kernel),
}
OF_TIMM = {
    "RelativeMapAttention: {heads: 2}": ODD,
    "SpatialReductionAttention: {heads: 2}": ODD,
    "ResponseNorm: {}": ODD,
}


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    inputs, reference = CASES[step]
    compare_formula(block_text(step, inputs), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, CASES[step][0] if step in CASES else OF_TIMM[step]))


@pytest.mark.parametrize("step", [*CASES, *OF_TIMM])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


@pytest.mark.parametrize("scaled", [False, True])
def test_attention_of_botnet_is_timms(scaled: bool) -> None:
    theirs = bottleneck_attn.BottleneckAttn(8, feat_size=(5, 4), num_heads=2, scale_pos_embed=scaled)
    block = f"RelativeMapAttention: {{heads: 2, scale_positions: {str(scaled).lower()}}}"
    compare_with(theirs, block, random_tensor(3, 8, 5, 4))


class OnMaps(nn.Module):
    """timm's attention of PVT reads tokens and the size of their map."""

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.inner = pvt_v2.Attention(8, num_heads=2, sr_ratio=ratio)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.inner(x.flatten(2).transpose(1, 2), list(x.shape[2:]))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])  # type: ignore[no-any-return]


@pytest.mark.parametrize("ratio", [1, 2])
def test_spatial_reduction_is_timms(ratio: int) -> None:
    names = [(name, f"inner.{name}") for name in ("q.", "kv.", "proj.", "sr.", "norm.")]
    block = f"SpatialReductionAttention: {{heads: 2, ratio: {ratio}}}"
    compare_with(OnMaps(ratio), block, random_tensor(3, 8, 6, 4), names=names)


def test_response_norm_is_timms() -> None:
    theirs = grn.GlobalResponseNorm(8, channels_last=False)
    compare_with(
        theirs, "ResponseNorm", random_tensor(3, 8, 5, 4), names=[("gamma", "weight"), ("beta", "bias")]
    )

"""Attention in groups, stripes and cascades, without a softmax or beside convolutions: timm's modules, the papers' formulas, and both backends."""

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
    compare_module,
    make_parity_case,
    random_inputs,
    rename_key,
)
from tests.parity_runner import ParityOf

convit = lazy_module("timm.models.convit")
coat = lazy_module("timm.models.coat")
efficientvit = lazy_module("timm.models.efficientvit_msra")
non_local = lazy_module("timm.layers.non_local_attn")


def depthwise(conv: Any, x: Tensor) -> Tensor:
    padding = tuple(size // 2 for size in conv.weight.shape[2:])
    return F.conv2d(x, conv.weight, conv.bias, padding=padding, groups=x.shape[1])


def heads_of(x: Tensor, count: int) -> Tensor:
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def unit_force(b: Any, x: Tensor) -> Tensor:
    def bring(y: Tensor) -> Tensor:
        return b.gamma.view(1, -1, 1, 1) * y / y.norm(dim=-1, keepdim=True)  # type: ignore[no-any-return]

    q, k, v = (heads_of(layer(x), 2) for layer in (b.fc_q, b.fc_k, b.fc_v))
    return b.fc_o((bring(q) @ bring(k.transpose(2, 3) @ v)).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def multi_scale_sequence(b: Any, x: Tensor) -> Tensor:
    values = b.fc_v(x)
    found = F.scaled_dot_product_attention(
        heads_of(b.fc_q(x), 2), heads_of(b.fc_k(x), 2), heads_of(values, 2)
    )
    result = b.fc_o(found.transpose(1, 2).flatten(2))
    for share, way, size in zip(b.dy_paras.softmax(0), b.convs, (1, 3), strict=True):
        y = values.transpose(1, 2)
        if size > 1:
            conv = way["depth_conv"]
            y = F.conv1d(y, conv.weight, conv.bias, padding=size // 2, groups=y.shape[1])
            result = result + share * way["pointwise_conv"](y.transpose(1, 2))
        else:
            [layer] = [m for m in way.modules() if isinstance(m, nn.Linear)]
            result = result + share * layer(values)
    return result  # type: ignore[no-any-return]


def head_mixing(b: Any, x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    small = F.conv2d(x, b.sr_conv.weight, b.sr_conv.bias, stride=2, padding=1, groups=x.shape[1])
    memory = b.sr_ln(small.flatten(2).transpose(1, 2))
    q, k, v = heads_of(b.fc_q(tokens), 2), heads_of(b.fc_k(memory), 2), heads_of(b.fc_v(memory), 2)
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    mixed = F.conv2d(scores, b.transform.weight[:, :, None, None], b.transform.bias)
    found = F.instance_norm(mixed.softmax(3)) @ v
    return b.fc_o(found.transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, x.shape[2:])  # type: ignore[no-any-return]


def cross_shaped(b: Any, x: Tensor) -> Tensor:
    """Two heads, each with stripes of two rows or columns."""
    halves = []
    for side, stripes in enumerate((b.rows, b.columns)):
        qkv = b.qkv(x.permute(0, 2, 3, 1)).unflatten(3, (3, 2, -1))[..., side, :]
        qkv = qkv if side == 0 else qkv.transpose(1, 2)  # stripes of rows
        found = []
        for stripe in qkv.split(2, 1):
            tokens = stripe.flatten(1, 2)
            q, k, v = tokens.unbind(2)
            y = F.scaled_dot_product_attention(q, k, v).unflatten(1, stripe.shape[1:3])
            place = v.unflatten(1, stripe.shape[1:3])
            y, place = (z if side == 0 else z.transpose(1, 2) for z in (y, place))
            position = depthwise(stripes.get_v, place.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            found.append(y + position)
        halves.append(torch.cat(found, 1 + side))
    return b.proj(torch.cat(halves, 3)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def long_short(b: Any, x: Tensor) -> Tensor:
    """Groups of 2 x 2 places, at a distance of half a side."""
    size, (height, width) = 2, x.shape[2:]
    pos = b.pos
    offsets = torch.tensor([[i, j] for i in (-1.0, 0.0, 1.0) for j in (-1.0, 0.0, 1.0)])
    table = pos.pos3(pos.pos2(pos.pos1(pos.pos_proj(offsets))))
    places = [(i, j) for i in range(size) for j in range(size)]
    index = [[(a - c + 1) * 3 + d - e + 1 for c, e in places] for a, d in places]
    bias = table[torch.tensor(index)].permute(2, 0, 1)
    result = torch.zeros_like(x)
    for row in range(height // size):
        for column in range(width // size):
            rows, columns = slice(row, None, height // size), slice(column, None, width // size)
            group = x[:, :, rows, columns]
            q, k, v = b.qkv(group.flatten(2).transpose(1, 2)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
            y = b.proj(F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2))
            result[:, :, rows, columns] = y.transpose(1, 2).view_as(group)
    return result


MAP, FRAME = "{x: {C: 8, H: 6, W: 4}}", "{x: {T: 5, C: 6}}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {
    "UnitForceAttention: {heads: 2}": (FRAME, "x", "", unit_force),
    "ParallelMultiScaleAttention: {heads: 2, kernels: [1, 3]}": (FRAME, "x", "", multi_scale_sequence),
    "HeadMixingAttention: {heads: 2}": (MAP, "x", "", head_mixing),
    "CrossShapedAttention: {heads: 2}": (MAP, "x", "", cross_shaped),
    "LongShortAttention: {heads: 2, group: 2, far: true}": (
        "{x: {C: 32, H: 6, W: 4}}",
        "x",
        "",
        long_short,
    ),
}


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, outputs, reference = CASES[step]
    compare_formula(block_text(step, inputs, sources, outputs), reference, random_inputs(inputs))


class Places(nn.Module):
    """A module for tokens, on the places of a map."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])  # type: ignore[no-any-return]


def convolved_factors(b: Any, x: Tensor) -> Tensor:
    """timm's convolutions of values; its attention sees a token of the whole too, and here is none."""
    crpe = coat.ConvRelPosEnc(2, 4, {3: 1, 5: 1, 7: 2}).to(x)
    pairs = zip(crpe.conv_list, (b.conv3, b.conv5, b.conv7), strict=True)
    state = {f"{i}.{k}": v for i, (_, ours) in enumerate(pairs) for k, v in ours.named_parameters()}
    q, k, v = b.qkv(x.flatten(2).transpose(1, 2)).unflatten(2, (3, 4, 2)).permute(2, 0, 3, 1, 4)
    found = q @ (k.softmax(2).transpose(2, 3) @ v) / 2**0.5
    leading = [F.pad(y, (0, 0, 1, 0)) for y in (q, v)]
    encoded = torch.func.functional_call(
        crpe, {f"conv_list.{k}": v for k, v in state.items()}, (*leading, tuple(x.shape[2:]))
    )
    y = b.proj((found + encoded[:, :, 1:]).transpose(1, 2).flatten(2))
    return y.transpose(1, 2).unflatten(2, x.shape[2:])  # type: ignore[no-any-return]


def cascaded_groups(b: Any, x: Tensor) -> Tensor:
    """timm's, which has the tables of all heads in one."""
    theirs = efficientvit.CascadedGroupAttention(
        8, 3, num_heads=2, attn_ratio=4 / 3, resolution=4, kernels=(3, 3)
    )
    names = [("cascade.0.", "qkvs.0."), ("cascade.1.", "qkvs.1."), ("proj.", "proj.1.")]
    state = {}
    for key, value in [*b.named_parameters(), *b.named_buffers()]:
        name = rename_key(key, names)
        name = name.replace("qkvs.0.dws", "dws.0").replace("qkvs.1.dws", "dws.1").replace(".qkv.", ".")
        if "bias" not in key.rsplit(".", 1)[-1] or "attention" not in key:
            state[name] = value
    state["attention_biases"] = torch.stack([b.cascade[i].attention_biases for i in (0, 1)])
    state = {key: value for key, value in state.items() if key in theirs.state_dict()}
    assert state.keys() == theirs.state_dict().keys()
    theirs.double()
    for m in theirs.modules():
        m.training = False
    return torch.func.functional_call(theirs, state, (x,))  # type: ignore[no-any-return]


def gated_positions(b: Any, x: Tensor) -> Tensor:
    state = {f"net.{key}": value for key, value in b.named_parameters()}
    return torch.func.functional_call(Places(convit.GPSA(8, 4, qkv_bias=True)), state, (x,))  # type: ignore[no-any-return]


BLOCKS = "{x: {C: 6, H: 6, W: 4}}"
BILINEAR = "BilinearAttentionTransform: {hidden: 8, size: 2, groups: 2, dropout: 0}"
BY_WEIGHTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "GatedPositionalAttention: {heads: 4, bias: true}": ("{x: {C: 8, H: 4, W: 4}}", gated_positions),
    "FactorizedConvAttention: {heads: [1, 1, 2]}": (MAP, convolved_factors),
    "CascadedGroupAttention: {heads: 2, keys: 3, kernel: 3}": ("{x: {C: 8, H: 4, W: 4}}", cascaded_groups),
}


def test_bilinear_transform_is_timms() -> None:
    theirs = non_local.BatNonLocalAttn(6, block_size=2, groups=2, rd_channels=8, drop_rate=0.0)
    compare_module(block_text(BILINEAR, BLOCKS), theirs, random_inputs(BLOCKS))


@pytest.mark.parametrize("step", BY_WEIGHTS)
def test_weights_of_timm(step: str) -> None:
    inputs, reference = BY_WEIGHTS[step]
    compare_formula(block_text(step, inputs), reference, random_inputs(inputs))


PARAMETERS = {
    "UnitForceAttention": 16_648,
    "ParallelMultiScaleAttention": 29_763,
    "HeadMixingAttention": 17_480,
    "GatedPositionalAttention: {heads: 4}": 16_468,
    "FactorizedConvAttention: {bias: true}": 18_624,
    "LongShortAttention": 16_736,
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Of 64 channels, as the reference implementations count them."""
    tokens = "{x: {T: 16, C: 64}}"
    inputs = tokens if step in ("UnitForceAttention", "ParallelMultiScaleAttention") else None
    assert load(block_text(step, inputs or "{x: {C: 64, H: 16, W: 16}}")).parameters == PARAMETERS[step]


def parity_case(step: str) -> ParityCase:
    if step in CASES:
        return make_parity_case(block_text(step, *CASES[step][:3]))
    return make_parity_case(block_text(step, BLOCKS if step == BILINEAR else BY_WEIGHTS[step][0]))


@pytest.mark.parametrize("step", [*CASES, *BY_WEIGHTS, BILINEAR])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

"""Deformable attention: the authors' own form in PyTorch, and both backends."""

from __future__ import annotations

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

STEP = "DeformableAttention: {heads: 2, points: 3}"
INPUTS = "{x: {T: 5, C: 8}, reference: {T: 5, D: 2}, a: {C: 8, H: 6, W: 4}, b: {C: 8, H: 3, W: 2}}"
SOURCES = "{x: x, reference: reference, maps: [a, b]}"


def deformable(b: Any, x: Tensor, reference: Tensor, *maps: Tensor) -> Tensor:
    """As the authors' `ms_deform_attn_core_pytorch`: tokens of all maps, batch and heads folded."""
    batch, length, channels = x.shape
    shapes = [m.shape[2:] for m in maps]
    tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)
    value = F.linear(tokens, b.value_weight, b.value_bias).view(batch, -1, 2, channels // 2)
    offsets = b.sampling_offsets(x).view(batch, length, 2, 2, 3, 2)
    weights = b.attention_weights(x).view(batch, length, 2, 6).softmax(-1).view(batch, length, 2, 2, 3)
    normalizer = torch.tensor([[w, h] for h, w in shapes], dtype=x.dtype)
    places = reference[:, :, None, None, None] + offsets / normalizer[None, None, None, :, None]
    grids, found = 2 * places - 1, []
    for level, (part, (height, width)) in enumerate(
        zip(value.split([h * w for h, w in shapes], 1), shapes, strict=True)
    ):
        folded = part.flatten(2).transpose(1, 2).reshape(batch * 2, channels // 2, height, width)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
        found.append(F.grid_sample(folded, grid, align_corners=False))
    shares = weights.transpose(1, 2).reshape(batch * 2, 1, length, 6)
    mixed = (torch.stack(found, -2).flatten(-2) * shares).sum(-1).view(batch, channels, length)
    return b.output_proj(mixed.transpose(1, 2))  # type: ignore[no-any-return]


def test_formula() -> None:
    compare_formula(block_text(STEP, INPUTS, SOURCES), deformable, random_inputs(INPUTS))


def test_parameters() -> None:
    """Of 64 features, 8 heads and 2 maps, as the authors' code counts them."""
    inputs = INPUTS.replace("C: 8", "C: 64")
    assert load(block_text("DeformableAttention", inputs, SOURCES)).parameters == 20_800


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, INPUTS, SOURCES))


@pytest.mark.parametrize("step", [STEP])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

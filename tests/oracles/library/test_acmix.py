"""ACmix: the formula of its paper, and both backends."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    make_parity_case,
    random_inputs,
)
from tests.parity_runner import ParityOf

STEP, MAP = "ACmix: {channels: 8, heads: 2, window: 5}", "{x: {C: 6, H: 6, W: 5}}"


def acmix(b: Any, x: Tensor) -> Tensor:
    """As the paper's code, with 5 places in each direction and 2 heads."""
    batch, _, height, width = x.shape
    q, k, v = (f(x) for f in (b.query, b.key, b.value))
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    grid = torch.stack([columns.repeat(height, 1), rows[:, None].repeat(1, width)]).to(x.dtype)
    position = torch.einsum("oi,ihw->ohw", b.position.weight, grid) + b.position.bias[:, None, None]

    def windows(y: Tensor) -> Tensor:
        return F.unfold(F.pad(y, (2, 2, 2, 2), "reflect"), 5).view(-1, y.shape[1], 25, height, width)

    heads = (batch * 2, 4, height, width)
    near = windows(k.view(heads)) + (position[:, None] - windows(position[None])[0])
    scores = (q.view(heads)[:, :, None] * 4**-0.5 * near).sum(1, keepdim=True)
    attended = (scores.softmax(2) * windows(v.view(heads))).sum(2).view(batch, 8, height, width)
    maps = torch.cat([y.view(batch, 2, 4, height * width) for y in (q, k, v)], 1)
    taps = torch.einsum("oi,bidn->bdon", b.taps.weight, maps).reshape(batch, 36, height, width)
    convolved = F.conv2d(taps, b.convolved.weight, padding=1, groups=4)
    return b.attention_rate * attended + b.convolution_rate * convolved  # type: ignore[no-any-return]


def test_formula() -> None:
    compare_formula(block_text(STEP, MAP), acmix, random_inputs(MAP))


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, MAP))


@pytest.mark.parametrize("step", [STEP])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

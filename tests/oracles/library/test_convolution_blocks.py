"""Convolutions of the library: published formulas, and both backends."""

from __future__ import annotations

import pytest
import torch
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

split_attn = lazy_module("timm.layers.split_attn")

PARITY = [
    "CoordConv: {channels: 5}",
    "CoordConv: {channels: 6, kernel: 1, stride: 2, bias: false}",
    "SplitAttention: {channels: 12, stride: 2}",
    "SplitAttention: {channels: 8, radix: 4, narrowest: 4}",
]
PARAMETERS = {  # from 64 channels to 64
    "CoordConv: {channels: 64}": 38_080,
    "SplitAttention: {channels: 64}": 43_488,
}


@pytest.mark.parametrize("block", PARITY)
def test_keras_agrees(block: str, parity_of: ParityOf) -> None:
    def convolution_case(block: str) -> ParityCase:
        return make_parity_case(block_text(block))

    check_parity(parity_of(convolution_case))


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert load_block(block, 64).parameters == PARAMETERS[block]


class Placed(nn.Module):
    """Figure 3 of arXiv 1807.03247: rows and columns from -1 to 1 beside the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(18, 5, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        row = torch.linspace(-1, 1, height)[:, None].expand(batch, 1, height, width)
        column = torch.linspace(-1, 1, width).expand(batch, 1, height, width)
        return self.conv(torch.cat([x, row, column], 1))  # type: ignore[no-any-return]


def test_coord_conv() -> None:
    for size in ((9, 7), (1, 7)):
        compare_with(Placed(), "CoordConv: {channels: 5, stride: 2}", random_tensor(3, 16, *size))


@pytest.mark.parametrize(("channels", "stride", "radix"), [(16, 1, 2), (12, 2, 3)])
def test_split_attention_is_timms(channels: int, stride: int, radix: int) -> None:
    width = 8 * radix
    theirs = split_attn.SplitAttn(
        width, channels, stride=stride, padding=1, radix=radix, norm_layer=nn.BatchNorm2d
    )
    block = f"SplitAttention: {{channels: {channels}, stride: {stride}, radix: {radix}}}"
    compare_with(theirs, block, random_tensor(3, width, 9, 7))

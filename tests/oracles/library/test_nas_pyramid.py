"""The pyramid that a search found, and its cells: the paper's formulas, both backends, a shape for every level."""

from __future__ import annotations

from collections.abc import Callable
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

MAPS = "{a: {C: 6, H: 2, W: 3}, b: {C: 6, H: 8, W: 12}, like: {C: 6, H: 4, W: 6}}"
OTHER_MAPS = "{a: {C: 6, H: 16, W: 8}, b: {C: 6, H: 4, W: 2}, like: {C: 6, H: 4, W: 2}}"
STAGES = "{c3: {C: 5, H: 32, W: 48}, c4: {C: 6, H: 16, W: 24}, c5: {C: 7, H: 8, W: 12}}"
LEVELS = ("p3", "p4", "p5", "p6", "p7")


def bring_to(x: Tensor, like: Tensor) -> Tensor:
    """Maxima of windows where the map is larger, nearest places where it is smaller."""
    if x.shape[2] > like.shape[2]:
        return F.max_pool2d(x, x.shape[2] // like.shape[2])
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


def convolve(cell: Any, x: Tensor) -> Tensor:
    return cell.norm(cell.conv(torch.relu(x))) if hasattr(cell, "conv") else x


def sum_cell(cell: Any, first: Tensor, second: Tensor, like: Tensor) -> Tensor:
    return convolve(cell, bring_to(first, like) + bring_to(second, like))


def pooling_cell(cell: Any, first: Tensor, second: Tensor, like: Tensor) -> Tensor:
    first, second = bring_to(first, like), bring_to(second, like)
    return convolve(cell, second + second.mean((2, 3), keepdim=True).sigmoid() * first)


def exchange(layer: Any, p3: Tensor, p4: Tensor, p5: Tensor, p6: Tensor, p7: Tensor) -> tuple[Tensor, ...]:
    """One layer, in the order of the paper's figure 6."""
    between = sum_cell(layer.sp_44_4, pooling_cell(layer.gp_64_4, p6, p4, p4), p4, p4)
    p3 = sum_cell(layer.sp_43_3, between, p3, p3)
    p4 = sum_cell(layer.sp_34_4, p3, between, p4)
    p5 = sum_cell(layer.sp_55_5, p5, pooling_cell(None, p4, p3, p5), p5)
    p7 = sum_cell(layer.sp_77_7, p7, pooling_cell(None, p5, between, p7), p7)
    return p3, p4, p5, pooling_cell(layer.gp_75_6, p7, p5, p6), p7


def pyramid(net: Any, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
    maps = [
        lateral(c)
        for lateral, c in zip((net.lateral3, net.lateral4, net.lateral5), (c3, c4, c5), strict=True)
    ]
    for extra in (net.extra6, net.extra7):
        maps.append(F.max_pool2d(extra[1](extra[0](maps[-1])), 2))
    for layer in net.layers:
        maps = list(exchange(layer, *maps))
    return maps


OUTPUTS = ", ".join(f"{level}: block.{level}" for level in LEVELS).join("{}")
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {
    "SumCell: {shrink_b: 2}": (MAPS, "{a: a, b: b, like: like}", "", sum_cell),
    "SumCell: {shrink_a: 4}": (OTHER_MAPS, "{a: a, b: b, like: like}", "", sum_cell),
    "GlobalPoolingCell: {shrink_b: 2}": (MAPS, "{a: a, b: b, like: like}", "", pooling_cell),
    "GlobalPoolingCell: {shrink_a: 4}": (OTHER_MAPS, "{a: a, b: b, like: like}", "", pooling_cell),
    "NasFeaturePyramid: {channels: 4, depth: 2}": (STAGES, "[c3, c4, c5]", OUTPUTS, pyramid),
}


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, outputs, reference = CASES[step]
    values = random_inputs(inputs)
    if "like" in inputs:  # only its size counts
        values[-1].requires_grad_(False)
    compare_formula(block_text(step, inputs, sources, outputs), reference, values)


def parity_case(step: str) -> ParityCase:
    inputs, sources, outputs, _ = CASES[step]
    return make_parity_case(block_text(step, inputs, sources, outputs))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


def test_levels_of_a_picture() -> None:
    """Each level has half the sides of the one before; a layer has seven convolutions of 3x3."""
    stages = "{c3: {C: 512, H: 80, W: 80}, c4: {C: 1024, H: 40, W: 40}, c5: {C: 2048, H: 20, W: 20}}"
    net = load(block_text("NasFeaturePyramid", stages, "[c3, c4, c5]", OUTPUTS))
    assert [int(value.type["H"]) for value in net.graph.outputs.values()] == [80, 40, 20, 10, 5]
    laterals = (512 + 1024 + 2048 + 2 * 256) * 256 + 5 * 512
    assert net.parameters == laterals + 7 * 7 * (9 * 256 * 256 + 512)

"""Light attention, pooling and depthwise convolutions: timm's modules, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_with,
    make_parity_case,
    random_tensor,
)
from tests.parity_runner import ParityOf

shvit = lazy_module("timm.models.shvit")
swiftformer = lazy_module("timm.models.swiftformer")
pools = lazy_module("timm.layers.other_pool")
inception_next = lazy_module("timm.models.inception_next")

Names = list[tuple[str, str]]
CASES: dict[str, tuple[Callable[[], Any], Names]] = {
    "SingleHeadAttention: {keys: 4, part: 3}": (
        lambda: shvit.SHSA(8, 4, 3),
        [
            ("qkv_norm.", "qkv.bn."),
            ("qkv.weight", "qkv.c.weight"),
            ("proj_norm.", "proj.1.bn."),
            ("proj.weight", "proj.1.c.weight"),
        ],
    ),
    "EfficientAdditiveAttention: {}": (lambda: swiftformer.EfficientAdditiveAttention(8, 8), []),
    "SimplePool: {heads: 2}": (lambda: pools.SimPool2d(8, num_heads=2), []),
    "InceptionDepthwise: {ratio: 0.25, band: 5}": (
        lambda: inception_next.InceptionDWConv2d(8, band_kernel_size=5, branch_ratio=0.25),
        [],
    ),
}


@pytest.mark.parametrize("step", CASES)
def test_it_is_timms(step: str) -> None:
    make_theirs, names = CASES[step]
    compare_with(make_theirs(), step, random_tensor(3, 8, 6, 5), strict=False, names=names)


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, "{x: {C: 8, H: 6, W: 5}}"))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

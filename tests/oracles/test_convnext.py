"""ConvNeXt against torchvision's."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from tests.oracles.carried import TOLERANCE, apart, compiled, published

VARIANTS = [
    "convnext_tiny",
    pytest.param("convnext_small", marks=pytest.mark.slow),
    pytest.param("convnext_base", marks=pytest.mark.slow),
    pytest.param("convnext_large", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_outputs(variant: str) -> None:
    theirs = published(variant)
    ours = compiled("convnext", variant, theirs)
    for size in ((224, 224), (97, 131)):
        assert apart(theirs, ours, *size) < TOLERANCE, size


def test_drop_path_grows_with_depth() -> None:
    """Its rates are not in the outputs: they are compared one by one."""
    theirs = published("convnext_tiny")
    ours = compiled("convnext", "convnext_tiny", theirs)
    wanted = [m.p for m in theirs.modules() if type(m).__name__ == "StochasticDepth"]
    assert [m.rate for m in ours.modules() if type(m).__name__ == "DropPath"] == pytest.approx(wanted)


@torch.no_grad()
def test_another_epsilon_is_seen() -> None:
    theirs = published("convnext_tiny")
    other = deepcopy(theirs)
    for module in other.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    assert apart(theirs, other, 97, 131) > 1e-7

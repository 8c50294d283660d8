"""ConvNeXt against torchvision's."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from specbuild import load
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, apart, compiled, published

torchvision = lazy_module("torchvision")

DEPTHS = [1, 1, 2, 1]


@pytest.mark.slow  # test_worked.py compares a small one
@pytest.mark.parametrize("size", [(97, 131), (224, 224)])
def test_same_outputs(size: tuple[int, int]) -> None:
    theirs = published("convnext_tiny")
    assert apart(theirs, compiled("convnext", "convnext_tiny", theirs), *size) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["convnext_small", "convnext_base", "convnext_large"])
def test_same_outputs_with_fewer_blocks(variant: str) -> None:
    """Whole ones are compared in benchmarks/library.md."""
    theirs = published(variant, lengths={f"features.{2 * i + 1}": depth for i, depth in enumerate(DEPTHS)})
    assert apart(theirs, compiled("convnext", variant, theirs, depths=DEPTHS), 97, 131) < TOLERANCE


def test_drop_path_grows_with_depth() -> None:
    """Its rates are not in the outputs: they are compared one by one."""
    with torch.device("meta"):
        theirs = torchvision.models.get_model("convnext_tiny", weights=None)
        ours = load(BACKBONES / "convnext.yaml", variant="convnext_tiny").build("torch")
    wanted = [m.p for m in theirs.modules() if type(m).__name__ == "StochasticDepth"]
    assert [m.rate for m in ours.modules() if type(m).__name__ == "DropPath"] == pytest.approx(wanted)


@pytest.mark.slow
@torch.no_grad()
def test_another_epsilon_is_seen() -> None:
    theirs = published("convnext_tiny")
    other = deepcopy(theirs)
    for module in other.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    assert apart(theirs, other, 97, 131) > 1e-7

"""The Swin transformer against torchvision's, which pads and masks at run time what ours does when compiled."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from specbuild import load
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, apart, compiled, published

torchvision = lazy_module("torchvision")

TABLE = "relative_position_bias_table"
DEPTHS = [2, 2, 2, 2]
# Merging odd maps; all maps padded; only some; one side of a map within a single window, which is not rolled.
SIZES = [(97, 131), (203, 310), (256, 224), (61, 400)]


@pytest.mark.slow  # test_worked.py compares a small one
def test_same_outputs() -> None:
    theirs = published("swin_t", TABLE)
    assert apart(theirs, compiled("swin", "swin_t", theirs), 224, 224) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["swin_s", "swin_b"])
def test_same_outputs_with_fewer_blocks(variant: str) -> None:
    """Whole ones are compared in benchmarks/library.md."""
    theirs = published(variant, TABLE, lengths={f"features.{2 * i + 1}": d for i, d in enumerate(DEPTHS)})
    assert apart(theirs, compiled("swin", variant, theirs, depths=DEPTHS), 224, 224) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_other_sizes(size: tuple[int, int]) -> None:
    theirs = published("swin_t", TABLE)
    ours = compiled("swin", "swin_t", theirs, height=size[0], width=size[1])
    assert apart(theirs, ours, *size) < TOLERANCE


def test_drop_path_grows_with_depth() -> None:
    """Its rates are not in the outputs: they are compared one by one, each for two branches."""
    with torch.device("meta"):
        theirs = torchvision.models.get_model("swin_t", weights=None)
        ours = load(BACKBONES / "swin.yaml", variant="swin_t").build("torch")
    wanted = [m.p for m in theirs.modules() if type(m).__name__ == "StochasticDepth"]
    found = [m.rate for m in ours.modules() if type(m).__name__ == "DropPath"]
    assert found == pytest.approx(
        [p for p in wanted for _ in range(2)][: len(found)] if len(wanted) < len(found) else wanted
    )


@pytest.mark.slow
@torch.no_grad()
def test_what_the_random_weights_tell_apart() -> None:
    """A table whose rows and columns are exchanged, and a shift of another length."""
    theirs = published("swin_t", TABLE)
    other = deepcopy(theirs)
    table = other.features[1][0].attn.relative_position_bias_table
    table.copy_(table.unflatten(0, (13, 13)).transpose(0, 1).flatten(0, 1))
    assert apart(theirs, other, 97, 131) > 1e-4
    other = deepcopy(theirs)
    other.features[5][1].attn.shift_size = [3, 2]
    assert apart(theirs, other, 97, 131) > 1e-4

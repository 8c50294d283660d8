"""The Swin transformer against torchvision's, which pads and masks at run time what ours does when compiled."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from tests.oracles.carried import TOLERANCE, apart, compiled, published

TABLE = "relative_position_bias_table"
VARIANTS = [
    "swin_t",
    pytest.param("swin_s", marks=pytest.mark.slow),
    pytest.param("swin_b", marks=pytest.mark.slow),
]
# All maps padded; only some; merging odd maps; one side of a map within a single window, which is not rolled.
SIZES = [(203, 310), (256, 224), (97, 131), (61, 400)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_outputs(variant: str) -> None:
    theirs = published(variant, TABLE)
    assert apart(theirs, compiled("swin", variant, theirs), 224, 224) < TOLERANCE


@pytest.mark.parametrize("size", SIZES)
def test_other_sizes(size: tuple[int, int]) -> None:
    theirs = published("swin_t", TABLE)
    ours = compiled("swin", "swin_t", theirs, height=size[0], width=size[1])
    assert apart(theirs, ours, *size) < TOLERANCE


def test_drop_path_grows_with_depth() -> None:
    """Its rates are not in the outputs: they are compared one by one, each for two branches."""
    theirs = published("swin_t")
    ours = compiled("swin", "swin_t", theirs)
    wanted = [m.p for m in theirs.modules() if type(m).__name__ == "StochasticDepth"]
    found = [m.rate for m in ours.modules() if type(m).__name__ == "DropPath"]
    assert found == pytest.approx(
        [p for p in wanted for _ in range(2)][: len(found)] if len(wanted) < len(found) else wanted
    )


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

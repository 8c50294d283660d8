"""The vision transformer against torchvision's."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from tests.oracles.carried import TOLERANCE, apart, compiled, published

TABLES = ("pos_embedding", "class_token")


def test_same_outputs() -> None:
    theirs = published("vit_b_32", *TABLES)
    assert apart(theirs, compiled("vit", "vit_b_32", theirs), 224, 224) < TOLERANCE


@pytest.mark.parametrize("variant", ["vit_b_16", "vit_l_16", "vit_l_32"])
def test_same_outputs_with_fewer_blocks(variant: str) -> None:
    """Whole ones are compared in benchmarks/library.md."""
    theirs = published(variant, *TABLES, lengths={"encoder.layers": 2})
    assert apart(theirs, compiled("vit", variant, theirs, depth=2), 224, 224) < TOLERANCE


@torch.no_grad()
def test_what_the_random_weights_tell_apart() -> None:
    """Another epsilon, and queries in the place of keys."""
    theirs = published("vit_b_32", *TABLES)
    other = deepcopy(theirs)
    for module in other.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    assert apart(theirs, other, 224, 224) > 1e-7
    other = deepcopy(theirs)
    packed = other.encoder.layers.encoder_layer_3.self_attention.in_proj_bias
    query, key, value = packed.chunk(3)
    packed.copy_(torch.cat([key, query, value]))
    assert apart(theirs, other, 224, 224) > 1e-4

"""Attention whose keys and values have as many heads as the queries, fewer, one, or no such dimension."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.importing.compared import import_live, largest_difference


class GroupedAttention(nn.Module):
    def __init__(self, groups: int, has_heads: bool = True):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 2 * groups), nn.Linear(8, 2 * groups)
        self.groups, self.has_heads = groups, has_heads

    def split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(*x.shape[:2], heads, 2).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.q(x), 4), self.k(x), self.v(x)
        k, v = (self.split(y, self.groups) if self.has_heads else y.unsqueeze(1) for y in (k, v))
        options: dict[str, Any] = {"enable_gqa": True} if self.groups not in (1, 4) else {}
        return F.scaled_dot_product_attention(q, k, v, **options).transpose(1, 2).flatten(2)


@pytest.mark.parametrize(
    ("groups", "has_heads", "said"),
    [
        (4, True, "key: unflatten2, value: prev}"),
        (2, True, "key: unflatten2, value: prev, grouped: heads}"),
        (1, True, "key: k, value: v}"),
        (1, False, "key: k, value: v}"),
    ],
)
def test_heads_of_keys(groups: int, has_heads: bool, said: str) -> None:
    model, x = GroupedAttention(groups, has_heads), torch.randn(3, 5, 8)
    imported = import_live(model, {"x": x}, "Net", axes={"x": ("T", "C")})
    assert f"- attention: {{query: unflatten, {said}\n" in imported.text, imported.text
    assert largest_difference(imported, model, [x]) < 1e-12

"""Masks and biases of `attention` against PyTorch's function, to which they are given as in its documentation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.runtimes.live_model import import_source

INPUTS = "inputs: {x: {T: 5, C: 4}, mask: {axes: {@A}, dtype: bool}, bias: {@B}}"
CASES = {
    "of_tokens": ("T: 5", "T: 5", (slice(None), None), (slice(None), None)),
    "of_keys": ("S: 5", "S: 5", (slice(None), None), (slice(None), None)),
    "of_pairs": ("T: 5, S: 5", "T: 5", (), (slice(None), None)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mask_is_about_keys(name: str) -> None:
    """Also in self-attention, where the tokens that ask are those that are asked."""
    mask_axes, bias_axes, mask_index, bias_index = CASES[name]
    spec = f"specbuild: 1\nmodel: Net\n{INPUTS.replace('@A', mask_axes).replace('@B', bias_axes)}\n"
    spec += "steps: [{attention: {query: x, key: x, value: x, mask: mask, bias: bias}}]\n"
    net = import_source(compile_source(build_graph(spec), "torch"), "attends").Net().double()
    torch.manual_seed(0)
    x, bias = torch.randn(3, 5, 4, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    mask = torch.rand(3, 5, 5)[:, : 5 if mask_index == () else 1] > 0.4
    mask[..., 2] = True  # each token sees one
    given = mask if mask_index == () else mask[:, 0]
    allowed = torch.where(given[mask_index], bias[bias_index], -torch.inf)
    torch.testing.assert_close(
        net(x, given, bias), F.scaled_dot_product_attention(x, x, x, attn_mask=allowed)
    )

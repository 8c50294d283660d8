"""Latent attention, sliding windows, lambdas and spatial transformers: PyTorch's functions, timm's module, the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    MAP,
    block_text,
    check_parity,
    compare_formula,
    compare_with,
    make_parity_case,
    random_inputs,
    random_tensor,
)
from tests.parity_runner import ParityOf

lambda_layer = lazy_module("timm.layers.lambda_layer")

ONE = "{x: {T: 7, C: 24}}"
SAMPLED = "{x: {C: 6, H: 9, W: 7}}"
PARAMETERS = {  # of 64 features or channels
    "MultiHeadLatentAttention": ("{x: {T: 16, C: 64}}", 11_304),
    "SlidingWindowAttention": ("{x: {T: 16, C: 64}}", 16_640),
    "SpatialTransformer": ("{x: {C: 64, H: 14, W: 14}}", 32_998),
    "LambdaLayer": ("{x: {C: 64, H: 14, W: 14}}", 7_616),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs)).parameters == parameters


def turn(x: Tensor, halves: bool) -> Tensor:
    """Pairs of the last axis as complex numbers, turned by the position in the axis before it."""
    half = x.shape[-1] // 2
    pairs = x.unflatten(-1, (2, half)).transpose(-1, -2) if halves else x.unflatten(-1, (half, 2))
    angles = torch.arange(x.shape[-2])[:, None] * 10000.0 ** (-torch.arange(half) / half)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.exp(1j * angles))
    return turned.transpose(-1, -2).flatten(-2) if halves else turned.flatten(-2)


def latent(b: Any, x: Tensor, halves: bool = False, causal: bool = True) -> Tensor:
    """Equations 9 to 19 of arXiv 2405.04434, with 3 heads."""

    def normalise(layer: Any, y: Tensor) -> Tensor:
        return F.rms_norm(y, y.shape[-1:], layer.weight, 1e-6)

    query = normalise(b.q_a_layernorm, x @ b.q_a_proj.weight.T) @ b.q_b_proj.weight.T
    query = query.unflatten(2, (3, 10)).transpose(1, 2)
    query = torch.cat([query[..., :6], turn(query[..., 6:], halves)], 3)
    compressed = x @ b.kv_a_proj_with_mqa.weight.T
    shared = turn(compressed[..., 5:], halves)[:, None].expand(-1, 3, -1, -1)
    both = normalise(b.kv_a_layernorm, compressed[..., :5]) @ b.kv_b_proj.weight.T
    both = both.unflatten(2, (3, 14)).transpose(1, 2)
    key = torch.cat([both[..., :6], shared], 3)
    found = F.scaled_dot_product_attention(query, key, both[..., 6:], is_causal=causal)
    return found.transpose(1, 2).flatten(2) @ b.o_proj.weight.T  # type: ignore[no-any-return]


def near(b: Any, x: Tensor, causal: bool = False) -> Tensor:
    """Of 4 heads, among the tokens that are less than 3 away."""
    a = b.attention
    query, key, value = (f(x).unflatten(2, (4, 6)).transpose(1, 2) for f in (a.query, a.key, a.value))
    distance = torch.arange(7)[:, None] - torch.arange(7)
    asked = (distance < 3) & (distance >= 0 if causal else distance > -3)
    found = F.scaled_dot_product_attention(query, key, value, asked)
    return a.project(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def sampled(b: Any, x: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(x, 3).flatten(1)
    change = b.fc2(F.relu(b.fc1(small))).view(-1, 2, 3)
    grid = F.affine_grid(change + torch.eye(2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


MLA = "MultiHeadLatentAttention: {heads: 3, query_latent: 8, latent: 5, plain: 6, turned: 4, value: 8"
FORMULAS: dict[str, tuple[str, Callable[..., Any]]] = {
    MLA + "}": (ONE, latent),
    MLA + ", layout: halves, causal: false}": (ONE, lambda b, x: latent(b, x, True, False)),
    "SlidingWindowAttention: {heads: 4, window: 3}": (ONE, near),
    "SlidingWindowAttention: {heads: 4, window: 3, causal: true}": (ONE, lambda b, x: near(b, x, True)),
    "SpatialTransformer: {size: 3, hidden: 5}": (SAMPLED, sampled),
}


@pytest.mark.parametrize("step", FORMULAS)
def test_formula(step: str) -> None:
    inputs, reference = FORMULAS[step]
    compare_formula(block_text(step, inputs), reference, random_inputs(inputs))


def test_at_first_the_map_stays_as_it_is() -> None:
    x = random_tensor(3, 16, 9, 7)
    net = load(block_text("SpatialTransformer")).build("torch")
    torch.testing.assert_close(net(x), x, rtol=0, atol=1e-12)


LAMBDA = "LambdaLayer: {keys: 4, kernel: 3}"


def test_lambda_layer_is_timms() -> None:
    """Its kernel has its axes in another order."""
    theirs = lambda_layer.LambdaLayer(16, dim_head=4, r=3)
    compare_with(theirs, LAMBDA, random_tensor(3, 16, 9, 7), strict=False)


PARITY = {**{step: inputs for step, (inputs, _) in FORMULAS.items()}, LAMBDA: MAP}


@pytest.mark.parametrize("step", PARITY)
def test_keras_agrees(step: str, parity_of: ParityOf) -> None:
    def block_case(step: str) -> ParityCase:
        return make_parity_case(block_text(step, PARITY[step]))

    check_parity(parity_of(block_case))

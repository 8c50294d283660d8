"""Blocks of the library that make one vector of many: their sizes, what they compute, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    build_block,
    check_parity,
    make_parity_case,
    measure_difference,
    random_values,
)
from tests.oracles.randomised import difference
from tests.parity_runner import ParityOf

FRAMES = "{x: {T: 16, C: 64}}"
PLACES = "{x: {C: 64, H: 14, W: 11}}"
PARAMETERS = {
    "GeneralizedMean: {}": (PLACES, 1),
    "AttentiveStatistics: {}": (FRAMES, 4_225),
    "ChannelAttentiveStatistics: {normalised: true}": (FRAMES, 33_216),
    "ChannelAttentiveStatistics: {normalised: true, context: false}": (FRAMES, 16_832),
    "MultipleInstanceAttention: {}": (FRAMES, 8_449),
    "GatedMultipleInstanceAttention: {}": (FRAMES, 16_769),
    "NetVlad: {}": (PLACES, 8_192),
    "NetVlad: {bias: true}": (PLACES, 8_256),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Those that were counted on published code, of 64 features."""
    inputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs, "x")).parameters == parameters


def generalized_mean(b: Any, x: torch.Tensor) -> torch.Tensor:
    """The authors' code: `avg_pool2d` of powers, and the root."""
    return F.avg_pool2d(x.clamp(min=1e-6).pow(b.p), x.shape[2:]).pow(1.0 / b.p)[..., 0, 0]


def statistics(x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Equations 5 and 6 of arXiv 1803.10963: the variance is the mean of squares less the square of the mean."""
    mean = (share * x).sum(1)
    return torch.cat([mean, ((share * x * x).sum(1) - mean * mean).sqrt()], 1)


def attentive(b: Any, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    score = b.scorer(torch.relu(b.attention(x)))
    counted = score.exp() if mask is None else score.exp() * mask[..., None]
    return statistics(x, counted / counted.sum(1, keepdim=True))


def channel_attentive(b: Any, x: torch.Tensor) -> torch.Tensor:
    whole = torch.cat([x.mean(1), x.std(1, correction=0)], 1)
    seen = torch.cat([x, whole[:, None].expand(-1, x.shape[1], -1)], 2)
    return statistics(x, b.conv(torch.tanh(b.tdnn(seen))).softmax(1))


def channel_attentive_of_speechbrain(b: Any, x: torch.Tensor) -> torch.Tensor:
    norm = b.normalising.norm
    seen = torch.relu(b.tdnn(x)).transpose(1, 2)
    seen = F.batch_norm(seen, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return statistics(x, b.conv(torch.tanh(seen.transpose(1, 2))).softmax(1))


def multiple_instance(b: Any, x: torch.Tensor) -> torch.Tensor:
    score = torch.tanh(x @ b.attention[0].weight.T + b.attention[0].bias) @ b.attention[2].weight.T
    return (score.softmax(1) * x).sum(1)  # the last bias moves all scores alike


def gated_multiple_instance(b: Any, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One bag after another, of its instances alone."""
    pooled = []
    for bag, counted in zip(x, mask, strict=True):
        h = bag[counted]
        score = b.attention_w(torch.tanh(b.attention_V[0](h)) * torch.sigmoid(b.attention_U[0](h)))
        pooled.append((score.T.softmax(1) @ h)[0])
    return torch.stack(pooled)


def netvlad(b: Any, x: torch.Tensor) -> torch.Tensor:
    """Centre by centre, from the residuals themselves."""
    x = F.normalize(x)
    share = torch.softmax(b.conv(x), 1)
    sums = [((x - c[:, None, None]) * share[:, k, None]).sum((2, 3)) for k, c in enumerate(b.centroids)]
    return F.normalize(F.normalize(torch.stack(sums, 1), dim=2).flatten(1))


Shapes = tuple[tuple[int, ...], ...]
FRAME = ((3, 7, 5),)
MASKED = ((3, 7, 5), (3, 7))
PLACE = ((3, 6, 5, 3),)
CASES: dict[str, tuple[Shapes, Callable[..., torch.Tensor]]] = {
    "GeneralizedMean: {}": (PLACE, generalized_mean),
    "AttentiveStatistics: {hidden: 4}": (FRAME, attentive),
    "AttentiveStatistics: {hidden: 6}": (MASKED, attentive),
    "ChannelAttentiveStatistics: {hidden: 4}": (FRAME, channel_attentive),
    "ChannelAttentiveStatistics: {hidden: 4, context: false, normalised: true}": (
        FRAME,
        channel_attentive_of_speechbrain,
    ),
    "MultipleInstanceAttention: {hidden: 4}": (FRAME, multiple_instance),
    "GatedMultipleInstanceAttention: {hidden: 4}": (MASKED, gated_multiple_instance),
    "NetVlad: {clusters: 4}": (PLACE, netvlad),
    "NetVlad: {clusters: 4, bias: true}": (PLACE, netvlad),
}


def text_of(step: str) -> str:
    shapes = CASES[step][0]
    if len(shapes) == 2:
        return block_text(step, "{x: {T: 7, C: 5}, mask: {axes: {T: 7}, dtype: bool}}", "[x, mask]")
    return block_text(step, "{x: {C: 6, H: 5, W: 3}}" if shapes is PLACE else "{x: {T: 7, C: 5}}", "x")


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    shapes, reference = CASES[step]
    x = random_values(*shapes)[0]
    masks = [torch.tensor([[True] * n + [False] * (7 - n) for n in (7, 4, 1)])] if len(shapes) == 2 else []
    if "MultipleInstance" not in step and masks:
        masks[0][2, 1] = True  # one frame has no deviation, and no gradient of it
    block = build_block(text_of(step), [x, *masks])
    weights = [p for name, p in block.named_parameters() if name not in UNMOVED]
    apart = measure_difference(
        lambda x: block(x, *masks), lambda x: reference(block, x, *masks), [x], [(p, p) for p in weights]
    )
    assert apart < TOLERANCE


# biases of a score before a softmax: whatever they are, the shares stay as they are
UNMOVED = {"scorer.bias", "attention.2.bias", "attention_w.bias", "conv.bias"}


@torch.no_grad()
def test_what_the_mask_leaves_out_does_not_count() -> None:
    step = "AttentiveStatistics: {hidden: 6}"
    [x] = random_values(*FRAME)
    mask = torch.tensor([[True] * n + [False] * (7 - n) for n in (7, 4, 2)])
    block = build_block(text_of(step), [x, mask])
    noise = torch.where(mask[..., None], x, 100.0)
    assert difference(block(x, mask), block(noise, mask)) < TOLERANCE


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

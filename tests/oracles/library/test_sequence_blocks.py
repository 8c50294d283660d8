"""Attention over time and over places that makes one vector of many, and convolutions over time: the papers' formulas,
PyTorch's and timm's modules, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_with,
    make_parity_case,
    random_inputs,
    random_tensor,
)
from tests.parity_runner import ParityOf

attention_pool = lazy_module("timm.layers.attention_pool")

FRAMES = "{x: {T: 16, C: 64}}"
PLACES = "{x: {C: 64, H: 14, W: 14}}"
ASKED = "{query: {C: 64}, memory: {T: 16, C: 64}}"
PARAMETERS = {  # of 64 features, as published code has them
    "AdditiveAttention": (ASKED, "context", 8_256),
    "MultiplicativeAttention": (ASKED, "context", 12_288),
    "MultiplicativeAttention: {attentional: false}": (ASKED, "context", 4_096),
    "ContextAttention": (FRAMES, "mean", 4_224),
    "WeightedAverage": (FRAMES, "mean", 64),
    "WeightedAverage2d": (PLACES, "", 64),
    "StructuredAttention": (FRAMES, "means", 4_352),
    "GlimpseAttention: {features: 64, hidden: 64}": (FRAMES, "", 64 * 64 + 64 + 65 + 64 * 64 + 64),
    "TemporalBlock: {channels: 64}": (FRAMES, "", 2 * (2 * 64 * 64 + 2 * 64)),
    "TemporalShift": (FRAMES, "", 0),
    "DividedSpaceTimeLayer": ("{x: {T: 4, S: 9, C: 64}}", "", 70_912),
    "GlobalWeightedAverage": (PLACES, "", 65),
    "LogSumExpPool": (PLACES, "", 0),
    "MeanMaxPool": (PLACES, "", 0),
    "ClassResidualAttention: {classes: 10}": (PLACES, "", 640),
    "AttentionPool2d: {features: 64}": (PLACES, "", 29_248),
    "LatentAttentionPool": (FRAMES, "", 49_792),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, output, parameters = PARAMETERS[step]
    sources = "[query, memory]" if inputs is ASKED else "x"
    text = block_text(step, inputs, sources, f"{{y: block.{output}}}" if output else "")
    assert load(text).parameters == parameters


def mean_of(x: Tensor, score: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The share of each step: exp(score) over the sum of those that count."""
    weight = (score - score.amax(1, keepdim=True)).exp()
    weight = weight if mask is None else weight * mask
    share = weight / weight.sum(1, keepdim=True)
    return torch.einsum("bt,btc->bc", share, x), share


def additive(b: Any, query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    hidden = torch.tanh((query @ b.W.weight.T)[:, None] + memory @ b.U.weight.T)
    return mean_of(memory, hidden @ b.v.weight[0], mask)


def multiplicative(b: Any, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    score = torch.einsum("bq,mq,btm->bt", query, b.Wa.weight, memory)
    context, share = mean_of(memory, score)
    return torch.tanh(torch.cat([context, query], 1) @ b.result.Wc.weight.T), share


def products(b: Any, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    return mean_of(memory, torch.einsum("bc,btc->bt", query, memory))


def context_attention(b: Any, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return mean_of(x, torch.tanh(b.W(x)) @ b.context, mask)


def weighted_average(b: Any, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return mean_of(x, x @ b.attention_vector, mask)


def weighted_average_2d(b: Any, x: Tensor) -> Tensor:
    x = x.flatten(2).transpose(1, 2)
    return mean_of(x, x @ b.attention_vector)[0]


def structured(b: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    share = torch.softmax(b.W2.weight @ torch.tanh(b.W1.weight @ x.transpose(1, 2)), 2)
    return share @ x, share.transpose(1, 2)


def glimpses(b: Any, x: Tensor) -> Tensor:
    share = torch.softmax(b.linear(torch.relu(b.fc(x))), 1)
    return b.linear_merge(torch.cat([(share[..., i : i + 1] * x).sum(1) for i in range(2)], 1))  # type: ignore[no-any-return]


def temporal_block(b: Any, x: Tensor) -> Tensor:
    """As the authors build it: PyTorch's weight norm, padding on both sides, and what is too much cut off."""
    y = x.transpose(1, 2)
    for layer in (b.conv1, b.conv2):
        conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(y.shape[1], 6, 3, padding=4, dilation=2))
        state = {
            "parametrizations.weight.original0": layer.g[:, None, None],
            "parametrizations.weight.original1": layer.v,
            "bias": layer.bias,
        }
        y = torch.relu(functional_call(conv, state, (y,))[..., :-4])
    shortcut = b.downsample.weight[..., 0] @ x.transpose(1, 2) + b.downsample.bias[:, None]
    return torch.relu(y + shortcut).transpose(1, 2)


def temporal_shift(b: Any, x: Tensor) -> Tensor:
    moved = torch.zeros_like(x)
    moved[:, :-1, :2] = x[:, 1:, :2]
    moved[:, 1:, 2:4] = x[:, :-1, 2:4]
    moved[:, :, 4:] = x[:, :, 4:]
    return moved


def attend(b: Any, x: Tensor) -> Tensor:
    q, k, v = (part.unflatten(-1, (4, -1)).transpose(-3, -2) for part in b.qkv(x).chunk(3, -1))
    found = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return b.proj(found.transpose(-3, -2).flatten(-2))  # type: ignore[no-any-return]


def divided(b: Any, x: Tensor) -> Tensor:
    timed = attend(b.temporal_attn, b.temporal_norm1(x).transpose(1, 2)).transpose(1, 2)
    x = x + b.temporal_fc(timed)
    x = x + attend(b.attn, b.norm1(x))
    return x + b.mlp.fc2(F.gelu(b.mlp.fc1(b.norm2(x))))  # type: ignore[no-any-return]


def weighted_places(b: Any, x: Tensor) -> Tensor:
    share = torch.sigmoid(b.mask(x))
    return (x * share).sum((2, 3)) / (share.sum((2, 3)) + 1e-6)


def log_sum_exp(b: Any, x: Tensor) -> Tensor:
    return (3 * x).exp().mean((2, 3)).log() / 3


def class_residual(b: Any, x: Tensor) -> Tensor:
    score = b.head(x).flatten(2)
    return score.mean(2) + 0.2 * ((2 * score).softmax(2) * score).sum(2)  # type: ignore[no-any-return]


def clip_pool(b: Any, x: Tensor) -> Tensor:
    """CLIP's own way: PyTorch's attention with separate matrices, and its first result."""
    tokens = x.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + b.positional_embedding[:, None]
    found, _ = F.multi_head_attention_forward(
        tokens[:1],
        tokens,
        tokens,
        8,
        4,
        None,
        torch.cat([b.q_proj.bias, b.k_proj.bias, b.v_proj.bias]),
        None,
        None,
        False,
        0.0,
        b.c_proj.weight,
        b.c_proj.bias,
        training=False,
        need_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=b.q_proj.weight,
        k_proj_weight=b.k_proj.weight,
        v_proj_weight=b.v_proj.weight,
    )
    return found[0]


FRAME, PLACE = "{x: {T: 7, C: 8}}", "{x: {C: 8, H: 5, W: 3}}"
MASKED = "{x: {T: 7, C: 8}, mask: {axes: {T: 7}, dtype: bool}}"
PAIR = "{query: {C: 5}, memory: {T: 7, C: 8}}"
MEAN = "{mean: block.mean, share: block.share}"
FOUND = "{context: block.context, share: block.share}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {  # inputs, sources, outputs, the reference
    "AdditiveAttention: {hidden: 4}": (
        "{query: {C: 5}, memory: {T: 7, C: 8}, mask: {axes: {T: 7}, dtype: bool}}",
        "[query, memory, mask]",
        FOUND,
        additive,
    ),
    "MultiplicativeAttention: {}": (PAIR, "[query, memory]", FOUND, multiplicative),
    "MultiplicativeAttention: {scores: dot, attentional: false}": (
        "{query: {C: 8}, memory: {T: 7, C: 8}}",
        "[query, memory]",
        FOUND,
        products,
    ),
    "ContextAttention: {hidden: 4}": (MASKED, "[x, mask]", MEAN, context_attention),
    "WeightedAverage: {}": (MASKED, "[x, mask]", MEAN, weighted_average),
    "WeightedAverage2d: {}": (PLACE, "x", "", weighted_average_2d),
    "StructuredAttention: {hidden: 4, hops: 3}": (
        FRAME,
        "x",
        "{means: {of: block.means, order: [R, C]}, share: {of: block.share, order: [T, R]}}",
        structured,
    ),
    "GlimpseAttention: {features: 6, hidden: 4, glimpses: 2, dropout: 0}": (FRAME, "x", "", glimpses),
    "TemporalBlock: {channels: 6, kernel: 3, dilation: 2, dropout: 0}": (FRAME, "x", "", temporal_block),
    "TemporalShift: {divisor: 4}": ("{x: {T: 5, C: 9, H: 3, W: 2}}", "x", "", temporal_shift),
    "DividedSpaceTimeLayer: {heads: 4, ratio: 2}": ("{x: {T: 4, S: 5, C: 8}}", "x", "", divided),
    "GlobalWeightedAverage: {}": (PLACE, "x", "", weighted_places),
    "LogSumExpPool: {sharpness: 3}": (PLACE, "x", "", log_sum_exp),
    "MeanMaxPool: {}": (PLACE, "x", "", lambda b, x: torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)),
    "MeanMaxPool: {union: average}": (PLACE, "x", "", lambda b, x: (x.mean((2, 3)) + x.amax((2, 3))) / 2),
    "ClassResidualAttention: {classes: 5, temperature: 2}": (PLACE, "x", "", class_residual),
    "AttentionPool2d: {heads: 4, features: 6}": (PLACE, "x", "", clip_pool),
}


def text_of(step: str) -> str:
    inputs, sources, outputs, _ = CASES[step]
    return block_text(step, inputs, sources, outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    inputs, _, _, reference = CASES[step]
    values = random_inputs(inputs)
    if step.startswith("TemporalShift"):  # frames of maps: PyTorch has the channels after the frames
        values = [random_tensor(3, 5, 9, 3, 2).requires_grad_()]
    compare_formula(text_of(step), reference, values)


LATENT = "LatentAttentionPool: {queries: 3, heads: 4, ratio: 2}"


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, FRAME) if step == LATENT else text_of(step))


@pytest.mark.parametrize("step", [*CASES, LATENT])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


@pytest.mark.parametrize("queries", [1, 3])
def test_latent_pool_is_timms(queries: int) -> None:
    pool = "token" if queries == 1 else ""
    theirs = attention_pool.AttentionPoolLatent(8, num_heads=4, latent_len=queries, pool_type=pool)
    block = f"LatentAttentionPool: {{heads: 4, queries: {queries}}}"
    compare_with(theirs, block, random_tensor(3, 7, 8), strict=False)


@torch.no_grad()
def test_a_frame_sees_no_later_one() -> None:
    net: Any = load(block_text("TemporalBlock: {channels: 8, kernel: 3, dilation: 2}", FRAME)).build("torch")
    x = random_tensor(1, 7, 8)
    other = x.clone()
    other[:, 4:] += 1
    before, after = net.eval()(x), net(other)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-3

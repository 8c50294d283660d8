"""Nyströmformer's attention and EmbraceNet's fusion against their papers' formulas, and both backends."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    make_parity_case,
    random_inputs,
)
from tests.parity_runner import ParityOf

TOKENS = "{x: {T: 15, C: 12}}"
MODALITIES = "a: {C: 6}, b: {C: 5}, c: {C: 7}"
DRAWN = f"{{{MODALITIES}, drawn: {{axes: {{C: 4}}, dtype: int32}}}}"
SHARES = f"{{{MODALITIES}, shares: {{N: 3}}}}"


def attend(b: Any, x: Tensor, heads: int, landmarks: int, steps: int) -> Tensor:
    """Equations 11 to 14 of arXiv 2102.03902, with matrices of each head."""
    q, k, v = (
        f(x).unflatten(2, (heads, -1)).transpose(1, 2) * scale
        for f, scale in ((b.query, (12 // heads) ** -0.5), (b.key, 1), (b.value, 1))
    )
    asking, asked = (y.unflatten(2, (landmarks, -1)).mean(3) for y in (q, k))
    between = (asking @ asked.mT).softmax(-1)
    largest = between.sum(-1).amax(-1) * between.sum(-2).amax(-1)
    inverse, one = between.mT / largest[..., None, None], torch.eye(landmarks)
    for _ in range(steps):
        product = between @ inverse
        inverse = inverse @ (13 * one - product @ (15 * one - product @ (7 * one - product))) / 4
    y = (q @ asked.mT).softmax(-1) @ inverse @ ((asking @ k.mT).softmax(-1) @ v)
    if hasattr(b, "conv"):
        kernel = b.conv.weight.squeeze(1)[:, None, :, None]
        y = y + F.conv2d(v, kernel, padding=(kernel.shape[2] // 2, 0), groups=heads)
    return b.project(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("landmarks", "steps", "kernel"), [(5, 6, 3), (3, 2, 0), (15, 8, 7)])
def test_nystrom_attention(landmarks: int, steps: int, kernel: int) -> None:
    step = f"NystromAttention: {{heads: 3, landmarks: {landmarks}, steps: {steps}, kernel: {kernel}}}"
    compare_formula(
        block_text(step, TOKENS), lambda b, x: attend(b, x, 3, landmarks, steps), random_inputs(TOKENS)
    )


def test_parameters() -> None:
    """Those of attention, and a kernel for each head."""
    text = block_text("NystromAttention", "{x: {T: 128, C: 64}}")
    assert load(text).parameters == 16_640 + 8 * 33


def docked(b: Any, parts: list[Tensor]) -> Tensor:
    return torch.stack([part.docking(x).relu() for part, x in zip(b.docked, parts, strict=True)], 1)


def draw(b: Any, *values: Tensor) -> Tensor:
    """Each feature of the modality that was drawn for it."""
    *parts, drawn = values
    return docked(b, parts).gather(1, drawn.long()[:, None]).squeeze(1)


def share(b: Any, *values: Tensor) -> Tensor:
    *parts, shares = values
    return (docked(b, parts) * (shares / shares.sum(1, keepdim=True))[..., None]).sum(1)


READS = {
    "{parts: [a, b, c], drawn: drawn}": (DRAWN, draw),
    "{parts: [a, b, c], shares: shares}": (SHARES, share),
    "{parts: [a, b, c]}": (f"{{{MODALITIES}}}", lambda b, *parts: docked(b, list(parts)).mean(1)),
}


@pytest.mark.parametrize("reads", READS)
def test_embracement(reads: str) -> None:
    inputs, reference = READS[reads]
    values = [x % 3 if x.dtype == torch.int32 else x for x in random_inputs(inputs)]
    compare_formula(block_text("Embracement: {features: 4}", inputs, reads), reference, values)


STEPS = {
    "NystromAttention: {heads: 3, landmarks: 5, kernel: 3}": (TOKENS, "x"),
    "Embracement: {features: 4}": (SHARES, "{parts: [a, b, c], shares: shares}"),
}


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, *STEPS[step]))


@pytest.mark.parametrize("step", STEPS)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

"""Necks and decoders that choose, balance or upsample, and heads: their sizes, the papers' formulas, and both backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

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

MAP = "{x: {C: 64, H: 14, W: 14}}"
LEVELS = "{c2: {C: 64, H: 56, W: 56}, c3: {C: 64, H: 28, W: 28}, c4: {C: 64, H: 14, W: 14}, c5: {C: 64, H: 7, W: 7}}"
FOUR = "[c2, c3, c4, c5]"
BALANCED = "{p2: block.p2, p3: block.p3, p4: block.p4, p5: block.p5}"
CNR = 9 * 64 * 64 + 2 * 64  # a 3x3 convolution with its norm
PARAMETERS = {  # of 64 channels
    "AdaptiveSpatialFusion: {channels: 64}": (
        "{a: {C: 64, H: 14, W: 14}, b: {C: 64, H: 14, W: 14}, c: {C: 64, H: 14, W: 14}}",
        "[a, b, c]",
        "",
        3 * (64 * 16 + 32) + 48 * 3 + 3 + CNR,
    ),
    "BalancedPyramid: {refine: {conv: {channels: 64}}}": (LEVELS, FOUR, BALANCED, 36_928),
    "BalancedPyramid: {refine: {NonLocal: {reduction: 1}}}": (LEVELS, FOUR, BALANCED, 16_640),
    "DilatedEncoder: {channels: 64, middle: 32}": (MAP, "x", "", 95_616),
    "ContextModule: {channels: 64}": (MAP, "x", "", 34_752),
    "UnifiedDecoder: {channels: 64}": (
        LEVELS,
        FOUR,
        "",
        4 * (64 * 64 + 128) + 9 * 64 * 64 * 5 + 128 + 3 * (64 * 64 + 128) + 3 * CNR + 9 * 64 * 64 * 4 + 128,
    ),
    "PerceptronDecoder: {channels: 64}": (LEVELS, FOUR, "", 4 * (64 * 64 + 64) + 4 * 64 * 64 + 128),
    "ContentUpsample": (MAP, "x", "", 61_860),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, sources, outputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs, sources, outputs)).parameters == parameters


def norm(bn: Any, x: Tensor) -> Tensor:
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias)


def conv_norm(b: Any, x: Tensor) -> Tensor:
    kernel = b.conv.weight
    return torch.relu(norm(b.bn, F.conv2d(x, kernel, padding=kernel.shape[2] // 2)))


def leaky(b: Any, x: Tensor) -> Tensor:
    kernel = b.conv.weight
    return F.leaky_relu(norm(b.batch_norm, F.conv2d(x, kernel, padding=kernel.shape[2] // 2)), 0.1)


def adaptive(b: Any, *maps: Tensor) -> Tensor:
    seen = [leaky(getattr(b, f"weight_level_{i}"), x) for i, x in enumerate(maps)]
    share = b.weight_levels(torch.cat(seen, 1)).softmax(1)
    return leaky(b.expand, sum(x * share[:, i : i + 1] for i, x in enumerate(maps)))  # type: ignore[arg-type]


def balanced(b: Any, *maps: Tensor) -> list[Tensor]:
    size = maps[1].shape[2:]
    gathered = [F.adaptive_max_pool2d(maps[0], size), *(F.interpolate(x, size) for x in maps[1:])]
    mean = b.refined(sum(gathered) / 4)
    return [
        x + (F.interpolate(mean, x.shape[2:]) if i == 0 else F.adaptive_max_pool2d(mean, x.shape[2:]))
        for i, x in enumerate(maps)
    ]


def dilated(b: Any, x: Tensor) -> Tensor:
    x = norm(b.fpn_norm, b.fpn_conv(norm(b.lateral_norm, b.lateral_conv(x))))
    for part, gap in zip(b.dilated_encoder_blocks, (2, 3), strict=True):
        y = torch.relu(norm(part.norm1, F.conv2d(x, part.conv1.weight)))
        y = torch.relu(norm(part.norm2, F.conv2d(y, part.conv2.weight, padding=gap, dilation=gap)))
        x = x + torch.relu(norm(part.norm3, F.conv2d(y, part.conv3.weight)))
    return x


def context(b: Any, x: Tensor) -> Tensor:
    def step(name: str, x: Tensor) -> Tensor:
        return norm(getattr(b, f"norm{name}"), F.conv2d(x, getattr(b, f"conv{name}").weight, padding=1))

    shared = torch.relu(step("5x5_1", x))
    deep = step("7x7_3", torch.relu(step("7x7_2", shared)))
    return torch.relu(torch.cat([step("3x3", x), step("5x5_2", shared), deep], 1))


def widen(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear")


def unified(b: Any, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> Tensor:
    pooled = [
        widen(conv_norm(row.conv, F.adaptive_avg_pool2d(c5, size)), c5)
        for row, size in zip(b.psp_modules, (1, 2), strict=True)
    ]
    top = conv_norm(b.bottleneck, torch.cat([c5, *pooled], 1))
    sums = {5: top}
    for level, c in ((4, c4), (3, c3), (2, c2)):
        sums[level] = conv_norm(getattr(b, f"lateral{level}"), c) + widen(sums[level + 1], c)
    maps = [widen(conv_norm(getattr(b, f"fpn{i}"), sums[i]), c2) for i in (2, 3, 4)]
    return conv_norm(b.fpn_bottleneck, torch.cat([*maps, widen(top, c2)], 1))


def perceptrons(b: Any, *maps: Tensor) -> Tensor:
    found = []
    for i, x in reversed(list(enumerate(maps, 1))):
        layer = getattr(b, f"linear_c{i}")
        found.append(widen(F.conv2d(x, layer.weight[..., None, None], layer.bias), maps[0]))
    return conv_norm(b.linear_fuse, torch.cat(found, 1))


def step_up(b: Any, x: Tensor, skip: Tensor) -> Tensor:
    x = torch.cat([F.interpolate(x, skip.shape[2:]), skip], 1)
    return conv_norm(b.conv2, conv_norm(b.conv1, x))


def refinement(b: Any, x: Tensor) -> Tensor:
    x = conv_norm(b.conv, x)
    return x * torch.sigmoid(norm(b.bn_atten, F.conv2d(x.mean((2, 3), keepdim=True), b.conv_atten.weight)))


def path_fusion(b: Any, x: Tensor, y: Tensor) -> Tensor:
    x = conv_norm(b.convblk, torch.cat([x, y], 1))
    gate = torch.sigmoid(torch.relu(x.mean((2, 3)) @ b.conv1.weight.T) @ b.conv2.weight.T)
    return x + x * gate[..., None, None]


def upsampled(b: Any, x: Tensor) -> Tensor:
    """Place by place: the nearest place below, its neighbourhood, and the shares of this place."""
    share = F.pixel_shuffle(b.content_encoder(b.channel_compressor(x)), 2).softmax(1)
    padded = F.pad(x, (1, 1, 1, 1))
    rows = []
    for i in range(2 * x.shape[2]):
        places = []
        for j in range(2 * x.shape[3]):
            window = padded[:, :, i // 2 : i // 2 + 3, j // 2 : j // 2 + 3].flatten(2)
            places.append((window * share[:, None, :, i, j]).sum(2))
        rows.append(torch.stack(places, 2))
    return torch.stack(rows, 2)


def boxes_of(b: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    def silu(part: Any, x: Tensor) -> Tensor:
        bn, kernel = part.bn, part.conv.weight
        y = F.conv2d(x, kernel, padding=kernel.shape[2] // 2)
        return F.silu(F.batch_norm(y, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-3))

    logits = b.box_out(silu(b.box2, silu(b.box1, x)))
    share = logits.unflatten(1, (4, 5)).softmax(2)
    distance = sum(i * share[:, :, i] for i in range(5))
    return logits, b.class_out(silu(b.class2, silu(b.class1, x))), distance  # type: ignore[return-value]


def detection(b: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    y = torch.relu(b.bbox_hidden2(torch.relu(b.bbox_hidden1(x))))
    return b.class_embed(x), torch.sigmoid(b.bbox_out(y))


def cosine(b: Any, x: Tensor) -> Tensor:
    return 16 * F.normalize(x) @ F.normalize(b.weight).T


def additive_margin(b: Any, x: Tensor, label: Tensor) -> Tensor:
    logits = F.normalize(x) @ F.normalize(b.weight).T
    return 16 * (logits - 0.3 * F.one_hot(label.long(), 6))


def angular_margin(b: Any, x: Tensor, label: Tensor) -> Tensor:
    """For angles that stay below pi with the margin, and beyond that a line (ArcFace's own code)."""
    logits = F.normalize(x) @ F.normalize(b.weight).T
    moved = torch.cos(torch.acos(logits) + 0.5)
    moved = torch.where(logits > math.cos(math.pi - 0.5), moved, logits - 0.5 * math.sin(math.pi - 0.5))
    return 16 * torch.where(F.one_hot(label.long(), 6) > 0, moved, logits)


SMALL = "{c2: {C: 4, H: 13, W: 9}, c3: {C: 4, H: 7, W: 5}, c4: {C: 4, H: 4, W: 3}, c5: {C: 4, H: 2, W: 2}}"
ODD = "{x: {C: 8, H: 5, W: 4}}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {  # inputs, sources, outputs, the reference
    "AdaptiveSpatialFusion: {channels: 5, narrow: 3}": (
        "{a: {C: 4, H: 5, W: 3}, b: {C: 4, H: 5, W: 3}, c: {C: 4, H: 5, W: 3}}",
        "[a, b, c]",
        "",
        adaptive,
    ),
    "BalancedPyramid: {refine: {conv: {channels: 4}}}": (SMALL, FOUR, BALANCED, balanced),
    "DilatedEncoder: {channels: 6, middle: 4, dilations: [2, 3]}": (ODD, "x", "", dilated),
    "ContextModule: {channels: 8}": (ODD, "x", "", context),
    "UnifiedDecoder: {channels: 4, bins: [1, 2]}": (SMALL, FOUR, "", unified),
    "PerceptronDecoder: {channels: 5}": (SMALL, FOUR, "", perceptrons),
    "UNetUp: {channels: 6}": ("{x: {C: 5, H: 4, W: 3}, skip: {C: 4, H: 7, W: 6}}", "[x, skip]", "", step_up),
    "AttentionRefinement: {channels: 5}": (ODD, "x", "", refinement),
    "PathFusion: {channels: 8}": (
        "{x: {C: 5, H: 4, W: 3}, y: {C: 3, H: 4, W: 3}}",
        "[x, y]",
        "",
        path_fusion,
    ),
    "ContentUpsample: {kernel: 3, narrow: 4}": (ODD, "x", "", upsampled),
    "DecoupledHead: {classes: 3, bins: 5, width: 6}": (
        ODD,
        "x",
        "{boxes: block.boxes, scores: block.scores, distances: {of: block.distances, order: [S, H, W]}}",
        boxes_of,
    ),
    "SetPredictionHead: {classes: 3}": (
        "{x: {T: 5, C: 8}}",
        "x",
        "{scores: block.scores, boxes: block.boxes}",
        detection,
    ),
    "CosineHead: {classes: 6, scale: 16}": ("{x: {C: 8}}", "x", "", cosine),
    "CosineHead: {classes: 6, scale: 16, margin: 0.3, kind: additive}": (
        "{x: {C: 8}, label: {axes: {}, dtype: int32}}",
        "[x, label]",
        "",
        additive_margin,
    ),
    "CosineHead: {classes: 6, scale: 16, margin: 0.5}": (
        "{x: {C: 8}, label: {axes: {}, dtype: int32}}",
        "[x, label]",
        "",
        angular_margin,
    ),
    "ClassificationHead: {classes: 3, dropout: 0}": (
        ODD,
        "x",
        "",
        lambda b, x: b.fc(x.mean((2, 3))),
    ),
    "SegmentationHead: {classes: 3, hidden: 4, dropout: 0, scale: 2}": (
        ODD,
        "x",
        "",
        lambda b, x: F.interpolate(b.classifier(conv_norm(b.conv, x)), scale_factor=2, mode="bilinear"),
    ),
    "SequenceLabelHead: {labels: 4}": (
        "{x: {T: 5, C: 8}}",
        "x",
        "",
        lambda b, x: b.fc(x) - b.fc(x).logsumexp(2, keepdim=True),
    ),
}


def text_of(step: str) -> str:
    inputs, sources, outputs, _ = CASES[step]
    return block_text(step, inputs, sources, outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    inputs, _, _, reference = CASES[step]
    compare_formula(text_of(step), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

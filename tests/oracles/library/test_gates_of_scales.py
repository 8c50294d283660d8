"""Gates of several scales, of covariances and of codewords, masks and means of objects: the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def normalise(norm: Any, x: Tensor) -> Tensor:
    """A batch norm in evaluation."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    y = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    return y * norm.weight.view(shape) + norm.bias.view(shape)


def unit(b: Any, x: Tensor) -> Tensor:
    return F.relu(normalise(b.bn, F.conv2d(x, b.conv.weight)))


def depthwise(conv: Any, x: Tensor) -> Tensor:
    padding = tuple(size // 2 for size in conv.weight.shape[2:])
    return F.conv2d(x, conv.weight, conv.bias, padding=padding, groups=x.shape[1])


def channel_prior(b: Any, x: Tensor) -> Tensor:
    first, second = (m for m in b.ca.modules() if isinstance(m, nn.Conv2d | nn.Linear))

    def score(means: Tensor) -> Tensor:
        means = means if isinstance(first, nn.Conv2d) else means[:, :, 0, 0]
        return second(F.relu(first(means))).view(*x.shape[:2], 1, 1)  # type: ignore[no-any-return]

    gated = x * torch.sigmoid(score(x.mean((2, 3), keepdim=True)) + score(x.amax((2, 3), keepdim=True)))
    near = depthwise(b.dconv5_5, gated)
    strips = [depthwise(along, depthwise(across, near)) for across, along in b.branches]
    return gated * b.conv(near + sum(strips))  # type: ignore[no-any-return]


def efficient_multi_scale(b: Any, x: Tensor) -> Tensor:
    """As the authors' code computes it, groups in the batch."""
    groups, width = 2, x.shape[1] // 2
    parts = x.reshape(-1, width, *x.shape[2:])
    rows, columns = parts.mean(3, keepdim=True), parts.mean(2, keepdim=True).transpose(2, 3)
    mapped = b.conv1x1(torch.cat([rows, columns], 2)[..., 0].transpose(1, 2)).transpose(1, 2)[..., None]
    rows, columns = mapped.sigmoid().split([x.shape[2], x.shape[3]], 2)
    fine = F.group_norm(parts * rows * columns.transpose(2, 3), width, b.gn_weight, b.gn_bias)
    wide = F.conv2d(parts, b.conv3x3.weight, b.conv3x3.bias, padding=1)
    first = fine.mean((2, 3)).softmax(1)[:, None] @ wide.flatten(2)
    second = wide.mean((2, 3)).softmax(1)[:, None] @ fine.flatten(2)
    gate = (first + second).view(-1, 1, *x.shape[2:]).sigmoid()
    return (parts * gate).view(-1, groups * width, *x.shape[2:])


def covariance_gate(b: Any, x: Tensor) -> Tensor:
    y = F.relu(normalise(b.bn_for_DR, b.conv_for_DR(x))).flatten(2)
    y = y - y.mean(2, keepdim=True)
    rows = normalise(b.row_bn, y @ y.transpose(1, 2) / y.shape[2])
    numbers = F.conv1d(rows, b.row_conv_group.weight, b.row_conv_group.bias, groups=4)[..., 0]
    return x * torch.sigmoid(b.fc_adapt_channels(numbers))[:, :, None, None]  # type: ignore[no-any-return]


def context_encoding(b: Any, x: Tensor) -> list[Tensor]:
    places = F.relu(normalise(b.norm, b.conv(x))).flatten(2).transpose(1, 2)
    residuals = places[:, :, None] - b.codewords
    shares = (b.scale * residuals.square().sum(3)).softmax(2)
    codes = F.relu(normalise(b.code_norm, (shares[..., None] * residuals).sum(1)))
    code = codes.mean(1)
    return [F.relu(x * (1 + torch.sigmoid(b.fc(code))[:, :, None, None])), code]


def bottleneck(b: Any, x: Tensor) -> Tensor:
    y = x
    for i in (0, 3, 6):
        conv = b.body[i + 2]
        y = F.conv2d(F.relu(normalise(b.body[i], y)), conv.weight, padding=conv.weight.shape[2] // 2)
    return x + y


def residual_attention(b: Any, x: Tensor) -> Tensor:
    first = bottleneck(b.first, x)
    trunk, mask = first, F.max_pool2d(first, 3, 2, 1)
    for layer in b.trunk:
        trunk = bottleneck(layer, trunk)
    for layer in b.mask:
        mask = bottleneck(layer, mask)
    mask = F.interpolate(mask, first.shape[2:], mode="bilinear")
    mask = b.gate[2](F.relu(normalise(b.gate[0], mask)))
    mask = torch.sigmoid(b.gate[5](F.relu(normalise(b.gate[3], mask))))
    return bottleneck(b.last, (1 + mask) * trunk)


def object_context(b: Any, x: Tensor, scores: Tensor) -> Tensor:
    objects = scores.flatten(2).softmax(2) @ x.flatten(2).transpose(1, 2)
    objects = objects.transpose(1, 2)[..., None]
    q = unit(b.f_pixel[1], unit(b.f_pixel[0], x)).flatten(2)
    k = unit(b.f_object[1], unit(b.f_object[0], objects))[..., 0]
    v = unit(b.f_down, objects)[..., 0]
    shares = (q.transpose(1, 2) @ k / q.shape[1] ** 0.5).softmax(2)
    found = (shares @ v.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
    return unit(b.conv_bn_dropout, torch.cat([unit(b.f_up, found), x], 1))


MAP = "{x: {C: 8, H: 6, W: 4}}"
GUESSED = "{x: {C: 6, H: 4, W: 5}, scores: {K: 3, H: 4, W: 5}}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {
    "ChannelPriorAttention: {reduction: 2, strips: [3, 5]}": (MAP, "x", "", channel_prior),
    "EfficientMultiScaleAttention: {groups: 2}": (MAP, "x", "", efficient_multi_scale),
    "CovarianceGate: {hidden: 4, ratio: 2}": (MAP, "x", "", covariance_gate),
    "ContextEncoding: {codes: 3}": (MAP, "x", "{y: block.y, code: block.code}", context_encoding),
    "ResidualAttention: {trunk: 1}": (MAP, "x", "", residual_attention),
    "ObjectContext: {keys: 4, channels: 5, dropout: 0}": (
        GUESSED,
        "{x: x, scores: scores}",
        "",
        object_context,
    ),
}


def test_parameters() -> None:
    """Of 64 channels, as popular code counts them."""
    assert load(block_text("EfficientMultiScaleAttention", "{x: {C: 64, H: 16, W: 16}}")).parameters == 672


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, outputs, reference = CASES[step]
    compare_formula(block_text(step, inputs, sources, outputs), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    return make_parity_case(block_text(step, *CASES[step][:3]))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

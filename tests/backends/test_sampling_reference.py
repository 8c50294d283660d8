"""Sampling against a loop in NumPy: which coordinate goes along which axis, and where the ends lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from tests.backends.reference import Array, computed, drawn
from tests.backends.test_op_parity import text


def value(x: Array, row: float, column: float) -> Array:
    """The weighted mean of the four positions around a point of a map (C, H, W), which is 0 outside."""
    total = np.zeros(x.shape[0])
    for i in (int(np.floor(row)), int(np.floor(row)) + 1):
        for j in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                total += x[:, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return total


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("over", ["[W, H]", "[H, W]"])
def test_grid(over: str, aligned: bool) -> None:
    x, grid = drawn(2, 3, 5, 4), drawn(2, 7, 2, seed=1)
    rows = grid[:, :, 1 if over == "[W, H]" else 0]
    columns = grid[:, :, 0 if over == "[W, H]" else 1]

    def position(c: float, size: int) -> float:
        return (c + 1) / 2 * (size - 1) if aligned else (c + 1) / 2 * size - 0.5

    expected = np.stack(
        [
            np.stack(
                [
                    value(x[n], position(r, 5), position(c, 4))
                    for r, c in zip(rows[n], columns[n], strict=True)
                ]
            )
            for n in range(2)
        ]
    )
    step = f"- grid_sample: {{grid: g, over: {over}, coordinates: K, align_corners: {str(aligned).lower()}}}\n  from: x"
    found = computed("{x: {C: 3, H: 5, W: 4}, g: {P: 7, K: 2}}", step, {"x": x, "g": grid})
    np.testing.assert_allclose(np.moveaxis(found, 1, 2), expected, atol=1e-12)


def test_deformable_conv() -> None:
    """Point by point, with the offsets and masks in the order of torchvision's `deform_conv2d`."""
    import torch

    env: dict[str, Any] = {}
    exec(
        compile_source(
            build_graph(text("{x: {C: 2, H: 3, W: 4}}", "- DeformableConv: {channels: 3}")), "torch"
        ),
        env,
    )
    net = env["Net"]().double()
    layer = net.get_submodule("deformable_conv")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=draw)
        x = torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=draw)
        found = net(x)[0].numpy()
        moves, masks = layer.offset(x)[0].numpy(), torch.sigmoid(layer.mask(x))[0].numpy()
        kernel, bias = layer.conv.weight.reshape(3, 2, 9).numpy(), layer.conv.bias.numpy()
    for row in range(3):
        for column in range(4):
            total = bias.copy()
            for p in range(9):
                down, right = moves[2 * p : 2 * p + 2, row, column]
                seen = value(x[0].numpy(), row + p // 3 - 1 + down, column + p % 3 - 1 + right)
                total += kernel[:, :, p] @ seen * masks[p, row, column]
            np.testing.assert_allclose(found[:, row, column], total, atol=1e-12)

"""Norms against their formulas in NumPy, in training and outside of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from specbuild.ops import OPS
from tests.backends.reference import Array, computed, drawn

MAP = "{x: {C: 4, H: 5, W: 3}}"
SCALE, SHIFT = np.array([0.5, 1, 1.5, 2]), np.array([-1, 0, 0.5, 1])
MEAN, VARIANCE = np.array([0.1, 0.2, -0.3, 0.4]), np.array([0.5, 1.5, 2, 3])


def each(channels: Array) -> Array:
    return channels[:, None, None]


def standard(x: Array, axis: Any, epsilon: float) -> Array:
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + epsilon)


def grouped(x: Array, groups: int, epsilon: float) -> Array:
    return standard(x.reshape(len(x), groups, -1), 2, epsilon).reshape(x.shape)


def response(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    squares = np.pad(x**2, [(0, 0), (size // 2, (size - 1) // 2), (0, 0), (0, 0)])
    mean = sum(squares[:, i : i + x.shape[1]] for i in range(size)) / size
    return x / (k + alpha * mean) ** beta


# step: what it does to a map with the scale and shift above
NORMS: dict[str, Callable[[Array], Any]] = {
    "batch_norm": lambda x: (x - each(MEAN)) / np.sqrt(each(VARIANCE) + 1e-5) * each(SCALE) + each(SHIFT),
    "batch_norm: {affine: false, epsilon: 0.1}": lambda x: (x - each(MEAN)) / np.sqrt(each(VARIANCE) + 0.1),
    "layer_norm": lambda x: standard(x, 1, 1e-5) * each(SCALE) + each(SHIFT),
    "layer_norm: {bias: false, epsilon: 0.1}": lambda x: standard(x, 1, 0.1) * each(SCALE),
    "layer_norm: {over: [W, H], affine: false}": lambda x: standard(x, (2, 3), 1e-5),
    "layer_norm: {over: [C, H, W], affine: false}": lambda x: standard(x, (1, 2, 3), 1e-5),
    "rms_norm": lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6) * each(SCALE),
    "rms_norm: {epsilon: 0.1, affine: false, over: [H, W]}": lambda x: (
        x / np.sqrt((x**2).mean((2, 3), keepdims=True) + 0.1)
    ),
    "group_norm: {groups: 2}": lambda x: grouped(x, 2, 1e-5) * each(SCALE) + each(SHIFT),
    "group_norm: {groups: 1, epsilon: 0.1, affine: false}": lambda x: grouped(x, 1, 0.1),
    "instance_norm": lambda x: standard(x, (2, 3), 1e-5),
    "instance_norm: {affine: true, epsilon: 0.1}": lambda x: (
        standard(x, (2, 3), 0.1) * each(SCALE) + each(SHIFT)
    ),
    "local_response_norm: {size: 3, alpha: 0.5, k: 2}": lambda x: response(x, 3, 0.5, 0.75, 2),
    "local_response_norm: {size: 4, alpha: 0.5, beta: 0.5}": lambda x: response(x, 4, 0.5, 0.5, 1),
}


def weights(name: str) -> dict[str, Array]:
    given = {"scale": SCALE, "shift": SHIFT, "mean": MEAN, "variance": VARIANCE}
    return {f"{name}.{weight}": value for weight, value in given.items()}


@pytest.mark.parametrize("step", NORMS)
def test_norm(step: str) -> None:
    x = drawn(2, 4, 5, 3)
    found = computed(MAP, f"- {step}", {"x": x}, weights(step.partition(":")[0]))
    np.testing.assert_allclose(found, NORMS[step](x), rtol=1e-10, atol=1e-12)


def test_several_axes_have_weights_in_the_order_written() -> None:
    x, scale, shift = drawn(2, 4, 5, 3), drawn(3, 4, seed=1), drawn(3, 4, seed=2)
    held = {"layer_norm.scale": scale, "layer_norm.shift": shift}
    found = computed(MAP, "- layer_norm: {over: [W, C]}", {"x": x}, held)
    expected = standard(x, (1, 3), 1e-5) * scale.T[:, None] + shift.T[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_batch_norm_in_training_takes_the_statistics_of_the_batch() -> None:
    x = drawn(2, 4, 5, 3)
    found = computed(MAP, "- batch_norm", {"x": x}, weights("batch_norm"), training=True)
    expected = standard(x, (0, 2, 3), 1e-5) * each(SCALE) + each(SHIFT)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_frames_are_normalised_one_by_one() -> None:
    clip = drawn(2, 3, 4, 5, 6)
    found = computed("{clip: {T: 3, C: 4, H: 5, W: 6}}", "- instance_norm", {"clip": clip})
    np.testing.assert_allclose(found, standard(clip, (3, 4), 1e-5), rtol=1e-10, atol=1e-12)
    step = "- group_norm: {groups: 1, over: [T, H, W], affine: false}"
    found = computed("{clip: {T: 3, C: 4, H: 5, W: 6}}", step, {"clip": clip})
    np.testing.assert_allclose(found, standard(clip, (1, 2, 3, 4), 1e-5), rtol=1e-10, atol=1e-12)


def test_every_one_is_here() -> None:
    here = {step.partition(":")[0] for step in NORMS}
    assert {name for name, op in OPS.items() if op.family == "norm"} <= here

"""Reductions against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from specbuild.ops import OPS
from tests.backends.reference import Array, computed, drawn

AXES = {"C": 1, "H": 2, "W": 3}


def unit(x: Array, axis: Any, epsilon: float) -> Array:
    return x / np.maximum(np.sqrt((x**2).sum(axis, keepdims=True)), epsilon)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
    "l2_norm": lambda x, axis, keepdims: np.sqrt(np.sum(x**2, axis=axis, keepdims=keepdims)),
    "variance": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims, ddof=1),
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("over", ["C", "W", "HW", "WC", "CHW"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name: str, over: str, keep: bool) -> None:
    x = drawn(2, 4, 5, 3)
    axis = tuple(AXES[a] for a in over)
    step = f"- {name}: {{over: [{', '.join(over)}], keep: {str(keep).lower()}}}"
    found = computed("{x: {C: 4, H: 5, W: 3}}", step, {"x": x})
    np.testing.assert_allclose(found, REDUCTIONS[name](x, axis=axis, keepdims=keep), rtol=1e-12)


ALONG: dict[str, Callable[[Array], Any]] = {
    "variance: {over: [H, W], correction: 0}": lambda x: x.var((2, 3)),
    "std: {over: C, correction: 2}": lambda x: x.std(1, ddof=2),
    "argmax: {over: C}": lambda x: x.argmax(1),
    "argmax: {over: H, keep: true}": lambda x: x.argmax(2, keepdims=True),
    "cumsum: {over: H}": lambda x: x.cumsum(2),
    "normalize: {}": lambda x: unit(x, 1, 1e-12),
    "normalize: {over: [W, C], epsilon: 4}": lambda x: unit(x, (1, 3), 4),
    "normalize: {over: W, epsilon: 2}": lambda x: unit(x, 3, 2),
}


@pytest.mark.parametrize("step", ALONG)
def test_along(step: str) -> None:
    x = drawn(2, 4, 5, 3)
    np.testing.assert_allclose(
        computed("{x: {C: 4, H: 5, W: 3}}", f"- {step}", {"x": x}), ALONG[step](x), rtol=1e-12
    )


def test_normalize_of_nothing_is_nothing() -> None:
    x = np.zeros((2, 4, 5, 3))
    np.testing.assert_array_equal(computed("{x: {C: 4, H: 5, W: 3}}", "- normalize: {}", {"x": x}), x)


def test_sum_counts_what_is_true() -> None:
    m = drawn(2, 4, 5) > 0.3
    found = computed("{m: {axes: {T: 4, S: 5}, dtype: bool}}", "- sum: {over: S}", {"m": m})
    np.testing.assert_array_equal(found, m.sum(2))


def test_every_one_is_here() -> None:
    here = {step.partition(":")[0] for table in (REDUCTIONS, ALONG) for step in table}
    assert {name for name, op in OPS.items() if op.family == "reduction"} <= here

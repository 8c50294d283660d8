"""Segments against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.reference import computed, drawn

REDUCE = {"sum": np.sum, "mean": np.mean, "max": np.max}


@pytest.mark.parametrize("name", REDUCE)
def test_segments(name: str) -> None:
    x = drawn(2, 6, 3)
    index = np.array([[0, 3, 3, 1, 0, 3], [2, 2, 2, 2, 2, 0]])
    expected = np.zeros((2, 4, 3))
    for sample in range(2):
        for n in range(4):
            chosen = x[sample][index[sample] == n]
            if len(chosen):
                expected[sample, n] = REDUCE[name](chosen, axis=0)
    step = f"- segment_reduce: {{index: places, over: E, axis: N, count: 4, reduce: {name}}}\n  from: x"
    inputs = "{x: {E: 6, C: 3}, places: {axes: {E: 6}, dtype: int32}}"
    np.testing.assert_allclose(computed(inputs, step, {"x": x, "places": index}), expected)

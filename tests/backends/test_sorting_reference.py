"""Sorting against NumPy, with ties."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.reference import computed, drawn

INPUTS = "{x: {T: 5, C: 9}}"


def output(step: str, part: str) -> str:
    return f"- {step}\n  as: s\n- scale: {{by: 1}}\n  from: s.{part}"


@pytest.mark.parametrize("part", ["values", "indices"])
@pytest.mark.parametrize(
    ("step", "sign", "count"),
    [
        ("sort: {over: C}", 1, 9),
        ("sort: {over: C, descending: true}", -1, 9),
        ("top_k: {over: C, k: 4}", -1, 4),
        ("top_k: {over: C, k: 4, largest: false}", 1, 4),
    ],
)
def test_equal_values_keep_their_order(step: str, sign: int, count: int, part: str) -> None:
    x = np.round(drawn(2, 5, 9))
    indices = np.argsort(sign * x, axis=2, kind="stable")[:, :, :count]
    expected = indices if part == "indices" else np.take_along_axis(x, indices, 2)
    np.testing.assert_array_equal(computed(INPUTS, output(step, part), {"x": x}), expected)

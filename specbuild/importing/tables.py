"""Expressions for tables of constants, found by trying what such tables usually are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.importing.window_tables import find_window_index, find_window_mask

if TYPE_CHECKING:
    from specbuild.importing.trace import Array

MAX_GIVEN = 64  # numbers that are written out
COMPARISONS = {
    ">=": np.greater_equal,
    "<": np.less,
    "==": np.equal,
    ">": np.greater,
    "<=": np.less_equal,
}


def table_attributes(data: Array, axes: Sequence[str]) -> dict[str, Any] | None:
    """Return `value` with an expression in these axes, or `values` if they are few; None if neither is possible."""
    expression = find_expression(data, axes)
    if expression is not None:
        return {"value": expression}
    if data.size <= MAX_GIVEN:
        return {"values": data.tolist()}
    return None


def find_expression(data: Array, axes: Sequence[str]) -> str | None:
    if data.size == 1:
        return str(data.item()).lower()
    indices = np.indices(data.shape)
    if data.dtype == bool:
        return find_comparison(data, axes, indices)
    return find_linear(data, axes, indices) or find_window_index(data, axes) or find_window_mask(data, axes)


def find_comparison(data: Array, axes: Sequence[str], indices: Array) -> str | None:
    if data.ndim != 2:
        return None
    for sign, function in COMPARISONS.items():
        if np.array_equal(function(indices[0], indices[1]), data):
            return f"{axes[0]} {sign} {axes[1]}"
    return None


def find_linear(data: Array, axes: Sequence[str], indices: Array) -> str | None:
    """Return a sum of multiples of the indices."""
    columns = np.stack([np.ones(data.size), *(i.ravel() for i in indices)], 1)
    numbers = np.linalg.lstsq(columns, data.ravel().astype(float), rcond=None)[0]
    if not np.allclose(columns @ numbers, data.ravel(), rtol=1e-7, atol=1e-9):
        return None
    first, *factors = map(write_number, numbers)
    terms = [a if k == "1" else f"{k} * {a}" for k, a in zip(factors, axes, strict=True) if k != "0"]
    return " + ".join([*terms, *([first] if first != "0" else [])]) or "0"


def write_number(number: float) -> str:
    return str(round(number)) if abs(number - round(number)) < 1e-7 else repr(round(float(number), 12))

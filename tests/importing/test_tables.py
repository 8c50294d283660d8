"""Expressions for the tables of attention, and that they give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from specbuild import load
from specbuild.importing.formulas import Formula
from specbuild.importing.tables import find_expression
from specbuild.importing.window_tables import differ_in_region


def relative_index(height: int, width: int) -> np.ndarray:
    place = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).reshape(2, -1)
    offset = place[:, :, None] - place[:, None]
    index: np.ndarray = (offset[0] + height - 1) * (2 * width - 1) + offset[1] + width - 1
    return index


def distance_index(side: int) -> np.ndarray:
    place = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).reshape(2, -1)
    offset = np.abs(place[:, :, None] - place[:, None])
    index: np.ndarray = offset[0] * side + offset[1]
    return index


def shift_mask(window: int, shift: int) -> np.ndarray:
    differs = differ_in_region((2, 3), (window, window), (shift, shift))
    return np.where(differs, -100.0, 0.0)


TABLES = {
    "square": (relative_index(4, 4), ("T", "S")),
    "oblong": (relative_index(3, 5), ("T", "S")),
    "distance": (distance_index(5), ("T", "S")),
    "mask": (shift_mask(4, 2), ("rows", "columns", "T", "S")),
    "causal": (np.tril(np.ones((5, 5), bool)), ("T", "S")),
}


@pytest.mark.parametrize("name", TABLES)
def test_an_expression_gives_the_numbers_of_the_table(name: str) -> None:
    data, axes = TABLES[name]
    found = find_expression(data, axes)
    assert found is not None
    sizes = ", ".join(f"{a}: {n}" for a, n in zip(axes, data.shape, strict=True))
    dtype = {"b": "bool", "i": "int32", "f": "float"}[data.dtype.kind]
    text = f"""specbuild: 1
model: Numbers
inputs: {{x: {{C: 1}}}}
steps:
  - const: {{axes: {{{sizes}}}, value: "{found}", dtype: {dtype}}}
    as: table
outputs: {{x: x, table: table}}
"""
    table = load(text).build("torch")(torch.zeros(1, 1))[1]
    order = [axes.index(axis) for axis in load(text).graph.outputs["table"].type.axes]
    assert np.array_equal(table.numpy(), data.transpose(order))


def test_a_table_without_a_rule_has_no_expression() -> None:
    assert find_expression(np.random.default_rng(0).integers(0, 9, (16, 16)), ("T", "S")) is None


def test_numbers_of_a_formula_become_words() -> None:
    found = find_expression(relative_index(4, 4), ("T", "S"))
    assert isinstance(found, Formula) and found.startswith("(T // 4 - S // 4 + 3) * 7 + T % 4")
    assert found.fill({"window_size": "x.H // 2"}).startswith(
        "(T // (x.H // 2) - S // (x.H // 2) + (x.H // 2) - 1) * "
    )

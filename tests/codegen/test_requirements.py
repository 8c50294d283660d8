"""Constructors refuse lengths of rows that the spec refuses, and Keras' those of no layers, which it cannot call."""

from __future__ import annotations

import pytest

from specbuild import load

REST = """specbuild: 1
model: Net
params: {depth: 3}
inputs: {x: {C: 4}}
steps:
  - linear: {features: 4}
  - do: [linear: {features: 4}, relu]
    repeat: %s
    as: rest
"""


@pytest.mark.parametrize(
    ("length", "backend", "least"),
    [("depth", "torch", None), ("depth", "keras", 1), ("depth - 1", "torch", 1), ("depth - 1", "keras", 2)],
)
def test_rows_have_a_least_length(length: str, backend: str, least: int | None) -> None:
    source = load(REST % length).source(backend)
    said = [line for line in source.splitlines() if "raise ValueError" in line]
    assert said == (
        [
            f'        raise ValueError("depth must be at least {least}")'.replace(
                " " * 8, " " * (12 if backend == "torch" else 8), 1
            )
        ]
        if least
        else []
    )


def test_a_row_of_no_layers_is_left_out_where_the_spec_says_so() -> None:
    for backend in ("torch", "keras"):
        assert "rest" not in load(REST % "depth", depth=0).source(backend)

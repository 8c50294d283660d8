"""The order of an output's axes: the same in every framework."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

SPEC = """\
specbuild: 1
model: M
inputs: {image: {C: 3, H: 8, W: 6}}
blocks:
  Unit: {steps: [relu: ], outputs: {y: relu}}
steps:
  - Unit:
  - conv: {channels: 4, stride: 2}
    as: map
  - flatten: {axes: [H, W], into: T}
    as: tokens
outputs: {map: {of: map, order: [W, C, H]}, tokens: {of: tokens, order: [C, T]}}
"""


def test_pytorch_returns_the_axes_in_this_order() -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(SPEC), "torch"), names)
    map_, tokens = names["M"]()(torch.zeros(2, 3, 8, 6))
    assert map_.shape == (2, 3, 4, 4) and tokens.shape == (2, 4, 12)


def test_keras_returns_the_same(parity_of: ParityOf) -> None:
    def order_case() -> ParityCase:
        return ParityCase("order", build_graph(SPEC), dtype="float64")

    report = parity_of(order_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
    assert "Outputs: map (B, 3, 4, 4), tokens (B, 4, 12)" in compile_source(build_graph(SPEC), "keras")


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (
            "[W, C, H]",
            "[W, C]",
            "SB404",
            "the order [W, C] does not name each axis of {C: 4, H: 4, W: 3} once",
        ),
        ("[C, T]", "[C, Q]", "SB404", "the order [C, Q] does not name each axis of {C: 4, T: 12} once"),
        ("order: [C, T]", "order: [C, T], layout: 1", "SB101", "an output has no key 'layout'"),
        ("{y: relu}", "{y: {of: relu, order: [C, H, W]}}", "SB102", "'y' must be text, not a mapping"),
    ],
)
def test_an_order_that_cannot_be(old: str, new: str, code: str, message: str) -> None:
    assert SPEC.count(old) == 1
    with pytest.raises((SpecError, SpecErrors), match=re.escape(f"error[{code}]: {message}")):
        build_graph(SPEC.replace(old, new))

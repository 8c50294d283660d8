"""Inputs of a block that say what their values are. Refusals: `tests/errors/specs/block_dtype*.yaml`."""

from __future__ import annotations

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

SPEC = """\
specbuild: 1
model: Net
inputs: {x: {T: 6, C: 8}, valid: {axes: {T: 6}, dtype: bool}, word: {axes: {T: 6}, dtype: int32}}
blocks:
  Masked:
    inputs: {x: [T, C], word: {axes: [T], dtype: int32}, mask: {axes: [T], dtype: bool, optional: true}}
    steps:
      - {where: {then: x, condition: mask, value: 0}, when: given(mask), from: x}
      - {linear: {features: 4}}
      - {embedding: {count: 9, features: 4}, from: word, as: words}
      - {add: [linear, words]}
  Any:
    inputs: {dtype: {axes: [...], dtype: float}, all: {each: [T, C], dtype: float}}
    steps:
      - {add: [dtype, all.*]}
steps:
  - {Masked: , from: [x, word, valid], as: a}
  - {Masked: , from: [x, word], as: b}
  - {Any: , from: [a, b, a]}
"""


def test_values_of_the_declared_dtypes_fit() -> None:
    model = build_graph(SPEC)
    for backend in ("torch", "keras"):
        assert "Masked" in compile_source(model, backend)


def test_keras_agrees(parity_of: ParityOf) -> None:
    def typed_case() -> ParityCase:
        return ParityCase("typed", build_graph(SPEC), modes=("forward", "gradients"), dtype="float64")

    report = parity_of(typed_case)
    assert not report.error, report.error
    assert not report.failing_differences()

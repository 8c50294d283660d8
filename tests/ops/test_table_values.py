"""Tables of given numbers: what is refused, and at which place."""

from __future__ import annotations

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
params: {taps: [[1, 2, 1], [1, 4, 1]]}
inputs: {x: {C: 2, H: 3}}
steps:
  - const: {axes: {H: 3}, %s}
    as: table
  - multiply: [x, table]
"""


FILTERS = """\
specbuild: 1
model: Net
params: {taps: [[1, 2, 1], [3, 4, 3]], blur: [0.25, 0.5, 0.25]}
inputs: {x: {C: 2, W: 3}}
blocks:
  Filter:
    params: {taps: list}
    inputs: {x: [C, W]}
    steps:
      - const: {axes: {W: 3}, values: taps}
        as: table
      - multiply: [x, table]
steps:
  - Filter: {taps: "taps[0]"}
  - Filter: {taps: "[5, 6, 7]"}
  - Filter: {taps: blur}
  - const: {axes: {C: 2, W: 3}, values: taps}
    as: own
  - multiply: [filter3, own]
"""


def test_an_item_of_a_list_parameter() -> None:
    code = compile_source(build_graph(SPEC % 'values: "taps[1]"'), "torch")
    assert "taps: tuple[tuple[int, ...], ...] = ((1, 2, 1), (1, 4, 1))" in code
    assert "torch.tensor(self.taps[1], dtype=torch.get_default_dtype()).reshape(3)" in code


def test_list_parameters_are_arguments_of_the_constructors() -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(FILTERS), "torch"), names)
    x = torch.randn(4, 2, 3)
    taps = ((2, 0, 1), (3, -1, 5))
    table = torch.tensor(taps).float()
    expected = x * table[0] * torch.tensor([5.0, 6.0, 7.0]) * torch.tensor([0.25, 0.5, 0.25]) * table
    torch.testing.assert_close(names["Net"](taps)(x), expected)
    with pytest.raises(RuntimeError, match="shape '\\[3\\]' is invalid for input of size 4"):
        names["Net"](taps, (0.25, 0.5, 0.25, 0.5))


def test_other_lists_in_the_spec_give_the_same_as_the_arguments() -> None:
    changed = {"taps": [[2, 0, 1], [3, -1, 5]], "blur": [1, 2, 3]}
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(FILTERS), "torch"), names)
    again: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(FILTERS, changed), "torch"), again)
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(names["Net"](**changed)(x), again["Net"]()(x))


def test_keras_agrees(parity_of: ParityOf) -> None:
    def table_case() -> ParityCase:
        return ParityCase("tables of parameters", build_graph(FILTERS), dtype="float64")

    report = parity_of(table_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.mark.parametrize(
    ("attributes", "code", "message", "column"),
    [
        ("values: [1, 2]", "SB305", "axis H needs a list of 3 items, not 2 items", 35),
        ("values: [1, 2, [3]]", "SB305", "a list is not a number", 42),
        ("values: [1, 2, true]", "SB305", "true is not a number", 42),
        ("values: [1, 2, x]", "SB305", "'x' has axes and is not a number", 35),
        ("values: taps", "SB305", "axis H needs a list of 3 items, not 2 items", 35),
        ("values: 3", "SB102", "'values' must be a list or text, not 3", 35),
        ("values: [1, 2.5, 3], dtype: int32", "SB305", "2.5 is not an integer", 39),
        (
            "values: [1, 2, 3], value: H",
            "SB103",
            "a table has one of `value`, `values`, `file` and `random`",
            5,
        ),
        ("dtype: float", "SB103", "a table has one of `value`, `values`, `file` and `random`", 5),
    ],
)
def test_values_that_cannot_be(attributes: str, code: str, message: str, column: int) -> None:
    with pytest.raises((SpecError, SpecErrors)) as caught:
        build_graph(SPEC % attributes)
    first = str(caught.value).splitlines()
    assert first[0] == f"error[{code}]: {message}"
    assert first[1].endswith(f":6:{column}")


def test_too_many_numbers() -> None:
    numbers = ", ".join(["1"] * 1025)
    with pytest.raises(SpecError, match="at most 1,024 given numbers; this has 1,025"):
        build_graph(SPEC % f"values: [{numbers}]")

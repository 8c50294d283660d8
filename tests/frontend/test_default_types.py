"""A default that is an expression of parameters above it, without a type."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.document import parse_spec
from specbuild.frontend.source import Source

SPEC = """\
specbuild: 1
model: Net
params: {{depths: [1, 2, 3], width: 4, rate: 0.5, mode: exact, act: {{type: block, default: relu}}, {param}}}
inputs: {{x: {{C: 4, T: 8}}}}
steps:
  - {{linear: {{features: {features}}}}}
"""


@pytest.mark.parametrize(
    ("default", "type_"),
    {
        "len(depths)": "int",
        "2 * width": "int",
        "width": "int",
        "depths": "list",
        '"depths[0]"': "int",
        "sum(depths)": "int",
        '"max(width, 8)"': "int",
        '"min(rate, 8)"': "number",
        "width / 2": "number",
        "sqrt(width)": "float",
        "width > 3": "bool",
        "not width": "bool",
        "8 if width > 3 else 2": "int",
        "8 if width > 3 else rate": "number",
        '"[width, 2]"': "list",
        "mode": "str",
        "act": "block",
        "-width": "int",
        "exact": "str",
        "half-size": "str",
        "{default: mode, enum: [mode, other]}": "str",
        "{default: 2 * width, min: 1}": "int",
    }.items(),
)
def test_type_of_a_default(default: str, type_: str) -> None:
    spec = parse_spec(Source(SPEC.format(param=f"k: {default}", features=4)))
    assert spec.model is not None
    assert spec.model.params["k"].type == type_


def test_default_follows_the_parameters_above() -> None:
    text = SPEC.format(param="k: len(depths), wide: k * width, same: wide", features="same")
    assert [int(build_graph(text, params).type["C"]) for params in ({}, {"width": 5}, {"k": 1})] == [
        12,
        15,
        4,
    ]


def test_text_of_a_parameter_above() -> None:
    text = SPEC.format(param="other: mode", features='4 if other == "exact" else 9')
    assert [int(build_graph(text, params).type["C"]) for params in ({}, {"mode": "fast"})] == [4, 9]


def test_default_reads_no_parameter_below() -> None:
    with pytest.raises(SpecError, match="nothing is named 'later' here"):
        build_graph(SPEC.format(param="k: len(later), later: [1]", features="k"))

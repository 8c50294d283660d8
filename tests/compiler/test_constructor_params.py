"""What a constructor takes: only what gives, at every value, the model that the spec describes."""

from __future__ import annotations

import re

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.expressions.thresholds import find_thresholds

SPEC = """
specbuild: 1
model: Net
params: {{deep: 2, width: 8, mode: fast}}
blocks:
  Tail:
    params: {{count: int}}
    steps:
      - conv: {{channels: 8}}
        as: first
      - conv: {{channels: count}}
        as: second
        when: {inner}
inputs: {{x: {{C: 4, H: 8, W: 8}}}}
steps:
  - conv: {{channels: width}}
    as: a
  - conv: {{channels: "2 * deep"}}
    as: b
    when: {outer}
  - Tail: {{count: deep}}
    as: tail
"""


def taken(outer: str = "true", inner: str = "true") -> set[str]:
    """The parameters of the constructor of the model, in both frameworks."""
    model = build_graph(SPEC.format(outer=outer, inner=inner))
    torch = re.search(r"class Net.*?def __init__\((.*?)\)", compile_source(model, "torch"), re.DOTALL)
    keras = re.search(r"def Net\((.*?)\) ->", compile_source(model, "keras"), re.DOTALL)
    assert torch and keras
    found = {name for name in ("deep", "width", "mode") if re.search(rf"\b{name}\b", torch[1])}
    assert found == {name for name in ("deep", "width", "mode") if re.search(rf"\b{name}\b", keras[1])}
    return found


@pytest.mark.parametrize(
    "condition", ["deep > 1", "1 < deep", "deep != 7", "deep >= 2 and width > 0", "not deep == 5"]
)
def test_a_step_that_hangs_on_it_is_no_promise(condition: str) -> None:
    assert taken(outer=condition) == {"width"}


def test_nor_is_one_inside_a_block_that_is_given_it() -> None:
    assert taken(inner="count < 3") == {"width"}


def test_what_every_value_bears_is_kept() -> None:
    assert taken() == {"deep", "width"}
    assert taken(outer="width > 0") == {"deep", "width"}  # below 1 there is no such model


def test_thresholds() -> None:
    documents = [
        {"when": "deep > 1", "doc": "is it > 9 deep?"},
        {"Tail": {"count": "deep + 1"}},
        ["4 == count"],
    ]
    assert set(find_thresholds(documents, ["deep"])) == {0, 1, 2, 4}
    assert find_thresholds([{"when": "other > 1"}], ["deep"]) == []
    assert find_thresholds([{"when": "mode == 'fast'"}], ["mode"]) == ["fast"]

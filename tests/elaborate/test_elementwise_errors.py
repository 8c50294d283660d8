"""Errors of activations, arithmetic, reductions, norms and dropout, and their locations."""

from __future__ import annotations

import re

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from tests.backends.test_op_parity import text

SEQUENCE = "{x: {T: 4, C: 5}}"
PAIR = "{a: {T: 4, C: 5}, b: {T: 3, C: 5}}"
TOKENS = "{x: {axes: {T: 4}, dtype: int32}}"
MASK = "{x: {axes: {T: 4}, dtype: bool}}"

# (inputs, steps): the code and the message of the error, which is in the last step
ERRORS: dict[tuple[str, str], tuple[str, str]] = {
    (TOKENS, "- gelu: {}"): ("SB305", "gelu needs floats; got {T: 4} int32"),
    (MASK, "- sqrt: {}"): ("SB305", "sqrt needs floats"),
    (SEQUENCE, "- softmax: {over: S}"): ("SB404", "there is no axis S in {T: 4, C: 5}"),
    (SEQUENCE, "- glu: {}"): ("SB401", "axis C of size 5 cannot be split in half"),
    (SEQUENCE, "- clip: {}"): ("SB103", "clip needs `min`, `max` or both"),
    (SEQUENCE, "- clip: {min: 2, max: 1}"): ("SB304", "min 2 is greater than max 1"),
    (SEQUENCE, "- power: {}"): ("SB103", "power needs either `exponent`"),
    (SEQUENCE, "- power: {exponent: 2, to: x}"): ("SB103", "power needs either `exponent`"),
    (SEQUENCE, "- compare: {test: less}"): ("SB103", "compare needs either `value`"),
    (SEQUENCE, "- where: {condition: x, value: 0}"): ("SB305", "where needs a mask of true and false"),
    (SEQUENCE, "- where: {condition: x}"): ("SB103", "where needs either `otherwise`"),
    (SEQUENCE, "- logical_not: {}"): ("SB305", "logical_not needs a mask of true and false"),
    (PAIR, "- subtract: [a, b]"): ("SB401", "subtract needs equal axes"),
    (PAIR, "- divide: [a, b]"): (
        "SB401",
        "values that share an axis need the same size there, or 1; a {T: 4, C: 5} and b {T: 3, C: 5} differ in T (4 and 3)",
    ),
    (PAIR, "- divide: [a, b, a]"): ("SB401", "divide needs two values"),
    (PAIR, "- maximum: [a]"): ("SB401", "maximum needs two or more values"),
    (MASK, "- add: [x, x]"): ("SB305", "add does not support bool"),
    (TOKENS, "- mean: {over: T}"): ("SB305", "mean needs floats"),
    (SEQUENCE, "- variance: {over: T, correction: 4}"): (
        "SB401",
        "variance of 4 values with correction 4",
    ),
    ("{x: {C: 5, H: 1}}", "- std: {over: H}"): (
        "SB401",
        "std of 1 values with correction 1 divides by zero",
    ),
    (SEQUENCE, "- group_norm: {groups: 2}"): ("SB401", "5 channels cannot be split into 2 groups"),
    (SEQUENCE, "- group_norm: {groups: 5, over: C}"): ("SB404", "`over` must not contain C"),
    ("{x: {C: 5}}", "- instance_norm: {}"): ("SB401", "each channel of {C: 5} has only one position"),
    ("{x: {C: 5}}", "- local_response_norm: {}"): ("SB404", "local_response_norm needs an axis besides C"),
    (SEQUENCE, "- dropout: {over: [T, C]}"): ("SB404", "this would drop whole samples"),
    (SEQUENCE, "- drop_path: {rate: 1}"): ("SB304", "a rate of 1 drops every sample"),
}


@pytest.mark.parametrize(("inputs", "steps"), ERRORS)
def test_error(inputs: str, steps: str) -> None:
    code, message = ERRORS[inputs, steps]
    with pytest.raises(SpecError) as caught:
        build_graph(text(inputs, steps))
    assert (caught.value.code, caught.value.location.line) == (code, 5 + steps.count("\n"))
    assert message in caught.value.message


SUGGESTED_STEP = re.compile(r"make (\S+) fit first: `(- \{.*\})`, then use (\w+)")


@pytest.mark.parametrize("op", ["add", "concat", "multiply", "average"])
@pytest.mark.parametrize(
    "inputs",
    [
        "{a: {C: 3, H: 8, W: 8}, b: {C: 3, H: 4, W: 4}}",
        "{a: {C: 3, H: 8, W: 4}, b: {C: 3, H: 8, W: 8}}",
        "{a: {C: 5, H: 8, W: 8}, b: {C: 3, H: 8, W: 8}}",
        "{a: {T: 4, C: 5}, b: {T: 4, C: 3}}",
    ],
)
def test_unequal_values_fit_after_the_hint(op: str, inputs: str) -> None:
    if op == "concat" and "H" in inputs and "C: 5" in inputs:
        build_graph(text(inputs, "- concat: [a, b]"))  # nothing is wrong
        return
    over = ", over: T" if "T" in inputs else ""
    steps = f"- {op}: {{of: [a, b]{over}}}" if op == "concat" else f"- {op}: [a, b]"
    with pytest.raises(SpecError) as caught:
        build_graph(text(inputs, steps))
    small, step, fitted = re.fullmatch(SUGGESTED_STEP, caught.value.hint).groups()
    followed = re.sub(rf"(?<=[ \[]){small}(?=[,\]])", fitted, steps)
    build_graph(text(inputs, f"{step}\n{followed}"))

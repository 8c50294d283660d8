"""Activations, arithmetic and comparisons against their formulas in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ops import OPS
from specbuild.runtimes.live_model import import_source
from tests.backends.reference import Array, computed, drawn

erf = np.vectorize(math.erf)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def halves(x: Array) -> tuple[Array, Array]:
    first, second = np.split(x, 2, axis=1)
    return first, second


# step: what it does to a map {C: 4, H: 5, W: 3}
ONE: dict[str, Callable[[Array], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky_relu: {slope: 0.2}": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu: {alpha: 0.7}": lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "celu: {alpha: 0.7}": lambda x: np.maximum(x, 0) + np.minimum(0.7 * (np.exp(x / 0.7) - 1), 0),
    "gelu": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
    "gelu: {approximate: tanh}": lambda x: (
        x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softplus: {beta: 2.5}": lambda x: np.log1p(np.exp(2.5 * x)) / 2.5,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink: {threshold: 0.8}": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.8, 0),
    "hard_shrink: {threshold: 0.8}": lambda x: np.where(np.abs(x) > 0.8, x, 0),
    "threshold: {threshold: 0.3, value: -7}": lambda x: np.where(x > 0.3, x, -7),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    "softmax: {over: [H, W]}": lambda x: np.exp(x) / np.exp(x).sum((2, 3), keepdims=True),
    "softmax: {over: [C, W]}": lambda x: np.exp(x) / np.exp(x).sum((1, 3), keepdims=True),
    "log_softmax: {over: W}": lambda x: x - np.log(np.exp(x).sum(3, keepdims=True)),
    "log_softmax: {over: [W, C]}": lambda x: x - np.log(np.exp(x).sum((1, 3), keepdims=True)),
    "glu": lambda x: halves(x)[0] * sigmoid(halves(x)[1]),
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "square": np.square,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "erf": erf,
    "floor": np.floor,
    "trunc": np.trunc,
    "cast: {dtype: int32}": lambda x: x.astype(int),
    "cast: {dtype: bool}": lambda x: x != 0,
    "cast: {dtype: float}": lambda x: x,
    "reciprocal": lambda x: 1 / x,
    "stop_gradient": lambda x: x,
    "scale: {by: 3}": lambda x: 3 * x,
    "scale: {by: -1}": lambda x: -x,
    "scale: {by: -1, plus: 2}": lambda x: 2 - x,
    "scale: {by: 0.5, plus: -2}": lambda x: 0.5 * x - 2,
    "power: {exponent: 3}": lambda x: x**3,
    "clip: {min: -0.5, max: 1}": lambda x: np.clip(x, -0.5, 1),
    "clip: {min: -0.5}": lambda x: np.maximum(x, -0.5),
    "clip: {max: 0.5}": lambda x: np.minimum(x, 0.5),
    "compare: {test: greater, value: 0.5}": lambda x: x > 0.5,
}
POSITIVE: dict[str, Callable[[Array], Any]] = {
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "log": np.log,
    "power: {exponent: -0.5}": lambda x: x**-0.5,
}
TWO: dict[str, Callable[[Array, Array], Any]] = {
    "add: [a, b]": np.add,
    "subtract: [a, b]": np.subtract,
    "multiply: [a, b]": np.multiply,
    "divide: [a, b]": np.divide,
    "minimum: [a, b]": np.minimum,
    "maximum: [a, b]": np.maximum,
    "average: [a, b]": lambda a, b: (a + b) / 2,
    "atan2: [a, b]": np.arctan2,
    "minimum: [a, b, a]": np.minimum,
    "average: [a, b, b]": lambda a, b: (a + 2 * b) / 3,
    "compare: {test: less, other: b}": np.less,
    "compare: {test: less_equal, other: b}": np.less_equal,
    "compare: {test: greater, other: b}": np.greater,
    "compare: {test: greater_equal, other: b}": np.greater_equal,
    "compare: {test: equal, other: b}": np.equal,
    "compare: {test: not_equal, other: b}": np.not_equal,
}
MASKS: dict[str, Callable[[Array, Array], Any]] = {
    "logical_and: [m, n]": np.logical_and,
    "logical_or: [m, n]": np.logical_or,
    "logical_not: {}": lambda m, n: ~m,
}


@pytest.mark.parametrize("step", ONE)
def test_one(step: str) -> None:
    x = drawn(2, 4, 5, 3)
    np.testing.assert_allclose(
        computed("{x: {C: 4, H: 5, W: 3}}", f"- {step}", {"x": x}), ONE[step](x), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("step", POSITIVE)
def test_positive(step: str) -> None:
    x = drawn(2, 4, 5, 3) + 3
    np.testing.assert_allclose(
        computed("{x: {C: 4, H: 5, W: 3}}", f"- {step}", {"x": x}), POSITIVE[step](x), rtol=1e-12
    )


@pytest.mark.parametrize("step", TWO)
def test_two(step: str) -> None:
    a, b = drawn(2, 4, 3), drawn(2, 4, 3, seed=1)
    b[0] = a[0]  # some are equal
    inputs = "{a: {T: 4, C: 3}, b: {T: 4, C: 3}}"
    found = computed(inputs, f"- {step}" + ("\n  from: a" if "compare" in step else ""), {"a": a, "b": b})
    np.testing.assert_allclose(found, TWO[step](a, b), rtol=1e-12)


@pytest.mark.parametrize("step", MASKS)
def test_masks(step: str) -> None:
    m, n = drawn(2, 4) > 0, drawn(2, 4, seed=1) > 0
    inputs = "{m: {axes: {T: 4}, dtype: bool}, n: {axes: {T: 4}, dtype: bool}}"
    found = computed(inputs, f"- {step}" + ("\n  from: m" if "not" in step else ""), {"m": m, "n": n})
    assert found.dtype == bool
    np.testing.assert_array_equal(found, MASKS[step](m, n))


def test_where() -> None:
    a, b, m = drawn(2, 4, 3), drawn(2, 4, 3, seed=1), drawn(2, 4) > 0
    inputs = "{a: {T: 4, C: 3}, b: {T: 4, C: 3}, m: {axes: {T: 4}, dtype: bool}}"
    given = {"a": a, "b": b, "m": m}
    found = computed(inputs, "- where: {then: a, condition: m, otherwise: b}", given)
    np.testing.assert_array_equal(found, np.where(m[:, :, None], a, b))
    found = computed(inputs, "- where: {then: a, condition: m, value: -5}", given)
    np.testing.assert_array_equal(found, np.where(m[:, :, None], a, -5))


def test_values_meet_by_name() -> None:
    a, b = drawn(2, 4, 5, 3), drawn(2, 3, 4, seed=1) + 3
    inputs = "{a: {C: 4, H: 5, W: 3}, b: {W: 3, C: 4}}"
    met = b.transpose(0, 2, 1)[:, :, None]
    np.testing.assert_allclose(computed(inputs, "- divide: [a, b]", {"a": a, "b": b}), a / met)
    step = "- subtract: {of: [a, b], broadcast: true}"
    np.testing.assert_allclose(computed(inputs, step, {"a": a, "b": b}), a - met)
    np.testing.assert_allclose(computed(inputs, "- power: {to: a}\n  from: b", {"a": a, "b": b}), met**a)


@pytest.mark.parametrize("over", ["", "C"])
def test_prelu(over: str) -> None:
    x = drawn(2, 5, 3)
    slope = np.array([0.1, 0.2, 0.3]) if over else np.array([0.4])
    found = computed(
        "{x: {T: 5, C: 3}}", f"- prelu: {{{'over: C' if over else ''}}}", {"x": x}, {"prelu.slope": slope}
    )
    np.testing.assert_allclose(found, np.where(x > 0, x, slope * x))


def test_every_one_is_here() -> None:
    here = {step.partition(":")[0] for table in (ONE, POSITIVE, TWO, MASKS) for step in table} | {
        "where",
        "prelu",
    }
    families = ("activation", "math", "logic")
    assert {name for name, op in OPS.items() if op.family in families} <= here


@pytest.mark.parametrize("over", ["d", "C"])
def test_softmax_of_many_axes_in_float32(over: str) -> None:
    """TensorFlow's softmax on a CPU, with oneDNN, takes five dimensions."""
    text = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, D: 32, H: 6, W: 32}}\nsteps:\n"
    text += "- unflatten: {axis: D, into: {D: 8, d: 4}}\n- unflatten: {axis: W, into: {W: 8, w: 4}}\n"
    text += f"- softmax: {{over: {over}}}\n- sum: {{over: [H, w, W]}}\n  as: y\n"
    text += "outputs: {y: {of: y, order: [D, d, C]}}\n"
    source = compile_source(build_graph(text), "keras")
    net = import_source(source, "softmax_of_many_axes").Net()
    x = np.random.default_rng(0).normal(size=(4, 32, 6, 32, 4)).astype("float32")
    weights = np.exp(x.reshape(4, 8, 4, 6, 32, 4).astype("float64"))
    axis = {"d": 2, "C": 5}[over]
    wanted = (weights / weights.sum(axis, keepdims=True)).sum((3, 4))
    np.testing.assert_allclose(np.asarray(net(x)), wanted, rtol=1e-4)

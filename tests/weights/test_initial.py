"""The numbers that weights begin with: the spec's initializers, and those of the language where it says nothing."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import from_framework, locate_weights, to_framework
from specbuild.ops.initializers import INIT_ARGUMENT_COUNTS, Init
from specbuild.weights.initial import INITIALIZERS, draw_values, initialize_weights
from tests.backends.test_op_parity import CASES, text

SHAPE = (48, 16, 3, 3)
FAN_IN, FAN_OUT = 16 * 9, 48 * 9

# what each gives on SHAPE: bounds (or none) and deviation
GIVES: dict[Init, tuple[float | None, float]] = {
    Init("zeros"): (0, 0),
    Init("ones"): (1, 0),
    Init("constant", (0.5,)): (0.5, 0),
    Init("normal"): (None, 1),
    Init("normal", (0.02,)): (None, 0.02),
    Init("truncated_normal", (0.02,)): (0.04, 0.8796 * 0.02),
    Init("truncated_normal", (1.0,)): (2, 0.8796),
    Init("uniform", (0.3,)): (0.3, 0.3 / sqrt(3)),
    Init("uniform", (-1.0, 3.0)): (3, 2 / sqrt(3)),
    Init("xavier_uniform"): (sqrt(6 / (FAN_IN + FAN_OUT)), sqrt(2 / (FAN_IN + FAN_OUT))),
    Init("xavier_normal"): (None, sqrt(2 / (FAN_IN + FAN_OUT))),
    Init("kaiming_uniform"): (sqrt(6 / FAN_IN), sqrt(2 / FAN_IN)),
    Init("kaiming_normal"): (None, sqrt(2 / FAN_IN)),
    Init("kaiming_uniform", mode="fan_out"): (sqrt(6 / FAN_OUT), sqrt(2 / FAN_OUT)),
    Init("kaiming_normal", mode="fan_out"): (None, sqrt(2 / FAN_OUT)),
    Init("orthogonal"): (None, 1 / sqrt(FAN_IN)),
}


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_every_initializer_is_drawn() -> None:
    assert set(INITIALIZERS) == set(INIT_ARGUMENT_COUNTS) == {init.kind for init in GIVES}


@pytest.mark.parametrize("init", GIVES, ids=str)
def test_distribution(init: Init) -> None:
    bound, deviation = GIVES[init]
    found = draw_values(init, SHAPE, random())
    assert found.shape == SHAPE
    assert found.std() == pytest.approx(deviation, rel=0.03)
    if bound is not None:
        assert 0.99 * bound <= np.abs(found).max() <= bound or found.std() < 0.1 * bound


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (6, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    flat = draw_values(Init("orthogonal"), shape, random()).reshape(shape[0], -1)
    product = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


NET = """
specbuild: 1
model: Net
inputs: {image: {C: 16, H: 8, W: 8}, words: {axes: {T: 5}, dtype: int32}}
steps:
  - conv: {channels: 48}
    from: image
    as: conv
  - batch_norm:
    as: norm
  - prelu:
    as: slope
  - conv_transpose: {channels: 24, kernel: 3}
    as: grow
  - conv: {channels: 24, groups: 24, init: normal(0.5), bias_init: constant(2)}
    as: depthwise
  - mean: {over: [H, W]}
    as: seen
  - embedding: {count: 100, features: 16}
    from: words
    as: embed
  - layer_norm: {init: zeros}
    as: quiet
  - lstm: {units: 32, bidirectional: true, init: orthogonal}
    as: reader
  - gru: {units: 24, returns: last}
    as: last
  - add: [last, seen]
    as: add
  - weight: {axes: {C: 24}, init: "uniform(1, 2)"}
    as: factor
  - multiply: [add, factor]
  - linear: {features: 10}
    as: head
"""


def test_they_begin_as_pytorch_does() -> None:
    """Bounds and deviations of every weight, next to those of the emitted PyTorch model."""
    torch: Any = pytest.importorskip("torch")
    model = load(NET)
    ours = initialize_weights(locate_weights(model.graph, "torch"))
    torch.manual_seed(0)
    theirs = {k: v.numpy() for k, v in model.build("torch").state_dict().items()}
    for h in locate_weights(model.graph, "torch"):
        a, b = h.to_framework(ours[h.path]), theirs[h.framework_path]
        assert a.shape == b.shape and a.dtype == np.float32
        count = max(a.size, 1)
        slack = 6 / sqrt(count)
        assert a.std() == pytest.approx(b.std(), rel=slack, abs=1e-7), h.path
        assert a.mean() == pytest.approx(b.mean(), abs=slack * max(float(b.std()), 1e-7)), h.path
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=max(slack, 0.3)), h.path


def test_a_seed_gives_the_same_numbers_and_a_step_more_changes_no_other() -> None:
    model = load(NET)
    weights = locate_weights(model.graph, "torch")
    first, again, other = (initialize_weights(weights, seed) for seed in (1, 1, 2))
    longer = load(NET.replace("    as: conv\n", "    as: conv\n  - conv: {channels: 48}\n    as: more\n"))
    grown = initialize_weights(locate_weights(longer.graph, "torch"), 1)
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        np.testing.assert_array_equal(value, grown[path])
    assert not np.array_equal(first["conv.kernel"], other["conv.kernel"])
    assert not np.array_equal(first["reader.kernel"], first["reader.backward_kernel"])


@pytest.mark.slow
def test_every_weight_of_every_op_begins() -> None:
    """On each model by which an op is proved, in numbers that both frameworks can keep."""
    told = 0
    for name, case in CASES.items():
        model = build_graph(text(*case))
        weights = locate_weights(model, "torch")
        values = initialize_weights(weights)
        told += len(values)
        for backend in ("torch", "keras"):
            kept = locate_weights(model, backend)
            back = from_framework(kept, to_framework(kept, values))
            assert {k: v.shape for k, v in back.items()} == {h.path: h.shape for h in weights}, name
    assert told > 300

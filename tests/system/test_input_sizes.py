"""Where a spec reads a size from a value, emitted files read it from their input: in blocks, tables and calls."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import torch
import torch.fx

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.runtimes.live_model import import_source

TOKENS_BACK = """
blocks:
  Back:
    inputs: {tokens: [T, C], x: [C, H, W]}
    steps:
      - linear: {features: x.C}
      - unflatten: {axis: T, into: {H: x.H, W: x.W}}
steps:
  - flatten: {axes: [H, W], into: T}
  - layer_norm:
    as: tokens
  - Back:
    from: [tokens, x]
"""
MARGINS = """
blocks:
  Even:
    inputs: {x: [C, H, W]}
    steps:
      - pad: {padding: {H: [0, -x.H % 4], W: [0, -x.W % 4]}}
      - conv: {channels: 6, kernel: 3}
      - roll: {shift: {H: "min(2, x.H - 4)", W: "2 if x.W > 4 else 0"}}
      - slice: {over: H, stop: x.H}
      - slice: {over: W, stop: x.W}
  Grid:
    inputs: {x: [C, H, W]}
    steps:
      - Even:
        as: even
      - const: {axes: {H: x.H, W: x.W}, value: "sin(H / (x.H - 1)) + W / x.W + minimum(x.H, 8)"}
        as: grid
      - add: {of: [even, grid], broadcast: true}
steps:
  - Grid:
"""
DOUBLED = """
steps:
  - resize: {size: {H: 2 * x.H, W: 2 * x.W}, mode: bilinear}
  - conv: {channels: 4, kernel: 3}
"""
DISTANCES = """
steps:
  - const: {axes: {H: x.H, W: x.W}, value: "where(H > W, x.H - H, W)", dtype: int32}
    as: distance
  - embedding: {count: 64, features: 8}
    as: positions
  - add: {of: [x, positions]}
"""
SPECS = {"tokens_back": TOKENS_BACK, "margins": MARGINS, "doubled": DOUBLED, "distances": DISTANCES}
SMALL, LARGE = (6, 5), (9, 13)


def load(name: str, size: tuple[int, int], backend: str) -> Any:
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 8, H: {size[0]}, W: {size[1]}}}}}\n{SPECS[name].lstrip()}"
    return import_source(compile_source(build_graph(text), backend), f"{name}_{backend}_{size[0]}").Net


@pytest.mark.parametrize("name", SPECS)
def test_torch(name: str) -> None:
    """In float64, and in graphs with free sizes."""
    small, large = load(name, SMALL, "torch")().eval().double(), load(name, LARGE, "torch")().eval().double()
    large.load_state_dict(small.state_dict())
    x = torch.randn(2, 8, *LARGE, dtype=torch.float64)
    wanted = large(x)
    torch.testing.assert_close(small(x), wanted)
    sizes = dict.fromkeys((2, 3), torch.export.Dim.AUTO)
    example = torch.randn(2, 8, *SMALL, dtype=torch.float64)
    if name != "margins":  # a condition on a size makes two graphs
        exported = torch.export.export(small, (example,), dynamic_shapes=(sizes,)).module()
        torch.testing.assert_close(exported(x), wanted)
        torch.testing.assert_close(torch.fx.symbolic_trace(small)(x), wanted)


@pytest.mark.parametrize("name", SPECS)
def test_keras(name: str) -> None:
    """With the size given, and without it, which a model refuses that computes with it."""
    small, large = load(name, SMALL, "keras"), load(name, LARGE, "keras")()
    x = np.random.default_rng(0).normal(size=(2, *LARGE, 8)).astype("float32")
    resized = small(x_shape=(*LARGE, 8))
    large.set_weights(resized.get_weights())
    wanted = np.asarray(large(x))
    np.testing.assert_allclose(np.asarray(resized(x)), wanted, atol=1e-5)
    if name in ("doubled", "distances"):
        with pytest.raises(ValueError, match="x_shape must have no None"):
            small(x_shape=(None, None, 8))
        return
    free = small(x_shape=(None, None, 8))
    free.set_weights(resized.get_weights())
    np.testing.assert_allclose(np.asarray(free(x)), wanted, atol=1e-5)


PLACES_MIXED = """
specbuild: 1
model: Net
inputs: {x: {C: 8, H: 6, W: 5}, words: {T: 3, C: 4}}
blocks:
  Mix:
    inputs: {x: [T, C]}
    steps:
      - linear: {features: x.T, over: T}
steps:
  - flatten: {axes: [H, W], into: T}
    from: x
  - Mix: {}
  - mean: {over: T}
    as: places
  - mean: {over: T}
    from: words
  - concat: [places, mean]
"""


def test_keras_tells_which_input_needs_numbers() -> None:
    """Not the other one."""
    net = import_source(compile_source(build_graph(PLACES_MIXED), "keras"), "mixed").Net
    with pytest.raises(ValueError, match="x_shape must have no None"):
        net(x_shape=(None, 5, 8))
    assert net(words_shape=(None, 4)).output_shape == (None, 12)


def test_the_length_of_a_repeat_is_that_of_the_declared_size() -> None:
    spec = (
        "specbuild: 1\nmodel: M\ninputs: {x: {T: 4, C: 3}}\n"
        "steps: [{linear: {features: 3}, repeat: x.T - 1, as: row}, {relu: }]\n"
    )
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(spec), "torch"), names)
    assert len(names["M"]().row) == 3
    compile_source(build_graph(spec), "keras")  # an undefined name would be an error

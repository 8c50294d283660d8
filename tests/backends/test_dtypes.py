"""Emitted models in other dtypes than float32: after `half()` in PyTorch, under a policy in Keras."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import specbuild
from specbuild.backends import load_backend
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ops import OPS
from tests.backends.test_op_parity import CASES, text
from tests.lazy_modules import lazy_module

keras = lazy_module("keras")

DTYPES = (torch.float64, torch.bfloat16)  # half() does the same as bfloat16()
# PyTorch has no such kernel for the CPU
MISSING_KERNEL = "avg_pool3d_out_frame"


def select_cases() -> Iterator[str]:
    """Yield one case for each op: the first that has it."""
    known: set[str] = set()
    for name, (_, steps) in CASES.items():
        ops = set(re.findall(r"[a-z_0-9]+", steps)) & set(OPS)
        if ops - known:
            known |= ops
            yield name


def test_every_op_follows_the_dtype_of_the_model() -> None:
    faults = []
    for name in select_cases():
        model = build_graph(text(*CASES[name]))
        env: dict[str, Any] = {}
        exec(compile(compile_source(model, "torch"), name, "exec"), env)
        for dtype in DTYPES:
            net = env["Net"]().to(dtype).eval()
            inputs = [make_input(x, dtype) for x in model.inputs.values()]
            try:
                with torch.no_grad():
                    result = net(*inputs)
            except (RuntimeError, NotImplementedError) as error:
                if MISSING_KERNEL not in str(error):
                    faults.append(f"{name} in {dtype}: {error}")
                continue
            results = result if isinstance(result, tuple) else (result,)
            for output, value in zip(model.outputs.values(), results, strict=True):
                if output.type.dtype == "float" and value.dtype != dtype:
                    faults.append(f"{name} in {dtype}: gives {value.dtype}")
    assert not faults


def make_input(x: Any, dtype: torch.dtype) -> torch.Tensor:
    shape = (2, *(int(x[axis]) for axis in load_backend("torch").natural_order(x)))
    if x.dtype == "float":
        return torch.rand(shape).to(dtype)
    return (
        torch.zeros(shape, dtype=torch.int32) if x.dtype == "int32" else torch.ones(shape, dtype=torch.bool)
    )


STEPS = """\
- one_hot: {count: 4}
  from: tokens
  as: hot
- multiply: [hot, x]
  as: picked
- compare: {test: greater, value: 0}
  from: x
  as: mask
- multiply: [picked, mask]
- add: {of: [prev, tokens], broadcast: true}
  as: moved
- const: {axes: {T: 3, C: 4}, value: T / 4 + C}
  as: table
- weight: {axes: {T: 5, C: 4}, init: normal(1)}
- slice: {over: T, stop: 3}
- add: [moved, table, prev]
  as: shifted
- sum: {over: C}
  from: mask
- divide: [shifted, prev]
- where: {condition: mask, value: -.inf}
- softmax: {over: C}
- concat: {of: [prev, hot], over: C}
- linear: {features: 3}
"""
INPUTS = "{tokens: {axes: {T: 3}, dtype: int32}, x: {T: 3, C: 4}}"
IN_BLOCK = """\
specbuild: 1
model: Net
blocks:
  Inner:
    inputs: {tokens: [T], x: [T, C]}
    steps:
STEPS
inputs: INPUTS
steps:
  - Inner:
    from: [tokens, x]
"""


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("place", ["model", "block"])
def test_integers_and_masks_meet_floats_in_mixed_precision(place: str, policy: str) -> None:
    spec = text(INPUTS, STEPS)
    if place == "block":
        steps = "\n".join(f"      {line}" for line in STEPS.splitlines())
        spec = IN_BLOCK.replace("STEPS", steps).replace("INPUTS", INPUTS)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        net = specbuild.load(spec).build("keras")
        y = net([np.array([[0, 1, 2]], "int32"), np.ones((1, 3, 4), "float32")])
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")

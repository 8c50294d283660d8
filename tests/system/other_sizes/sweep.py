"""Builds the file of a spec at its declared sizes, and runs it at others."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from specbuild.backends import load_backend
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.runtimes.live_model import import_source
from tests.system.other_sizes.specs import Sized


@dataclass(frozen=True)
class Trial:
    """A run at one size: "same" as the spec compiled for it, "refused" with an error, or something wrong."""

    sizes: dict[str, int]
    outcome: (
        str  # "same", "refused", "wrong", or "another network" for outputs where the spec has other weights
    )
    error: str = ""

    @property
    def is_right(self) -> bool:
        return self.outcome in ("same", "refused")


def graph_at(spec: Sized, sizes: dict[str, int]) -> Block:
    text = spec.text
    for axis, size in sizes.items():
        text = text.replace(f"@{axis}", str(size))
    return build_graph(f"specbuild: 1\nmodel: Net\n{text}")


def arrays_for(model: Block, backend: str) -> list[Any]:
    random = np.random.default_rng(0)
    orders = [(x, load_backend(backend).natural_order(x)) for x in model.inputs.values()]
    return [
        random.normal(size=(4, *(concrete(x[a]) for a in order))).astype("float32") for x, order in orders
    ]


def inputs_at(spec: Sized, sizes: dict[str, int], backend: str) -> list[Any]:
    """The inputs at these sizes, also where the spec refuses them."""
    declared = spec.text.partition("blocks:")[0].partition("steps:")[0]
    return arrays_for(graph_at(replace(spec, text=f"{declared}steps: [relu]\n"), sizes), backend)


def make(model: Block, backend: str) -> Any:
    return import_source(compile_source(model, backend), f"net_{backend}").Net


def random_weights(shapes: list[tuple[int, ...]]) -> list[Any]:
    random = np.random.default_rng(1)
    return [random.uniform(0.1, 0.6, shape).astype("float32") for shape in shapes]


@dataclass(frozen=True)
class Run:
    """The shapes of the weights of a model, and its output."""

    shapes: list[tuple[int, ...]]
    output: Any


def run_torch(model: Block, inputs: list[Any]) -> Run:
    import torch

    net = make(model, "torch")().eval()
    state = net.state_dict()
    shapes = [tuple(t.shape) for t in state.values()]
    net.load_state_dict({n: torch.from_numpy(v) for n, v in zip(state, random_weights(shapes), strict=True)})
    with torch.no_grad():
        return Run(shapes, net(*map(torch.from_numpy, inputs)).numpy())


def run_keras(model: Block, inputs: list[Any]) -> Run:
    """Run a model that is made for these inputs: its layers may have other weights than at the declared sizes."""
    import keras

    keras.backend.clear_session(free_memory=False)
    make_net = make(model, "keras")
    names = [n for n in inspect.signature(make_net).parameters if n.endswith("_shape")]
    net = make_net(**dict(zip(names, (x.shape[1:] for x in inputs), strict=True)))
    shapes = [tuple(w.shape) for w in net.weights]
    net.set_weights(random_weights(shapes))
    return Run(shapes, np.asarray(net(inputs if len(inputs) > 1 else inputs[0], training=False)))


RUNS = {"torch": run_torch, "keras": run_keras}


def sweep(spec: Sized, backend: str) -> list[Trial]:
    small = graph_at(spec, spec.declared)
    return [run_trial(spec, small, sizes, backend) for sizes in (spec.declared, *spec.others)]


def run_trial(spec: Sized, small: Block, sizes: dict[str, int], backend: str) -> Trial:
    """Run the file of `small` at these sizes, and the spec compiled for them."""
    inputs = inputs_at(spec, sizes, backend)
    try:
        found = RUNS[backend](small, inputs)
    except Exception as error:
        return Trial(sizes, "refused", f"{type(error).__name__}: {error}")
    try:
        wanted = RUNS[backend](graph_at(spec, sizes), inputs)
    except (SpecError, SpecErrors):
        return Trial(sizes, "accepted, though the spec is not")
    if found.shapes != wanted.shapes:
        return Trial(sizes, "another network")
    is_same = found.output.shape == wanted.output.shape
    is_same = is_same and np.allclose(found.output, wanted.output, rtol=1e-4, atol=1e-5)
    return Trial(sizes, "same" if is_same else "wrong")

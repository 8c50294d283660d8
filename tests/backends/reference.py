"""Runs the emitted PyTorch file of a few steps on arrays, for comparison with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from specbuild.backends import load_backend
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.compiler.weight_locations import locate_weights
from specbuild.parity.exchange import from_framework_order, to_framework_order
from tests.backends.test_op_parity import text

Array = np.ndarray[Any, Any]


def drawn(*shape: int, seed: int = 0) -> Array:
    """Numbers of size about one, none of them close to another or to zero."""
    count = int(np.prod(shape))
    values = (np.arange(count) - count / 2 + 0.5) * 4 / max(count, 2)
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def computed(
    inputs: str,
    steps: str,
    arrays: dict[str, Array],
    weights: dict[str, Array] | None = None,
    training: bool = False,
) -> Array:
    """What the steps give, each axis where the spec's own order has it. Weights go by canonical path."""
    import torch

    model, backend = build_graph(text(inputs, steps)), load_backend("torch")
    scope: dict[str, Any] = {}
    exec(compile_source(model, "torch"), scope)
    net = scope["Net"]().double()
    for h in locate_weights(model, "torch"):
        if weights and h.path in weights:
            net.state_dict()[h.framework_path].copy_(torch.from_numpy(h.to_framework(weights[h.path]).copy()))
    given = [
        torch.from_numpy(to_framework_order(arrays[name], x, backend).copy())
        for name, x in model.inputs.items()
    ]
    with torch.no_grad():
        result = net.train(training)(*given)
    return np.asarray(from_framework_order(result.numpy(), model.type, backend))

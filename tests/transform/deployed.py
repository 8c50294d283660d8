"""A spec beside its deployed form, both as live PyTorch models in float64 with the same random weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from specbuild import load
from specbuild.api import Model
from specbuild.backends import load_backend
from specbuild.compiler.weight_locations import to_framework
from specbuild.expressions import concrete
from specbuild.ir.graph import walk_ops
from specbuild.ops.base import Op
from specbuild.parity.random_data import draw_weight
from specbuild.transform.carried_weights import carry_weights
from specbuild.transform.deployed_model import DeployedModel, deploy_model

BOUND = 1e-12  # of the largest output; measured: 2e-15


@dataclass(frozen=True)
class Compared:
    """What became of a model."""

    model: DeployedModel
    difference: float

    @property
    def changes(self) -> dict[str, int]:
        """How many steps were folded, merged, removed and left."""
        return dict(Counter(change.kind for change in self.model.deployment.changes()))

    @property
    def ops(self) -> list[str]:
        """The ops that the deployed model has, in graph order."""
        steps = walk_ops(self.model.graph)
        return [node.op.name for _, node, _ in steps if isinstance(node.op, Op)]

    @property
    def reasons(self) -> dict[str, str]:
        return {c.step: c.text for c in self.model.deployment.changes() if c.kind == "left"}


def draw_weights(model: Model, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    weights = model.compile_for("torch").weights
    return {weight.path: np.asarray(draw_weight(weight, random), "float64") for weight in weights}


def run_model(model: Model, weights: dict[str, Any], inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the outputs of the emitted model in evaluation, all weights given."""
    live = model.build("torch").double().eval()
    tensors = to_framework(model.compile_for("torch").weights, weights)
    state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
    missing, unexpected = live.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    with torch.no_grad():
        outputs = live(*inputs)
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def compare_deployed(source: Any, /, **params: Any) -> Compared:
    """Deploy a spec, and compare its outputs with those of the trained model."""
    trained = load(source, **params)
    model = deploy_model(trained)
    random, order = torch.Generator().manual_seed(0), load_backend("torch").natural_order
    inputs = [
        torch.randn(3, *(concrete(x[axis]) for axis in order(x)), generator=random, dtype=torch.float64)
        for x in trained.graph.inputs.values()
    ]
    weights = draw_weights(trained)
    expected = run_model(trained, weights, inputs)
    outputs = run_model(model, carry_weights(model, weights), inputs)
    assert len(expected) == len(outputs)
    return Compared(model, max(map(relative_difference, expected, outputs)))


def relative_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, relative to the largest number; what is not a number must be none in both."""
    a, b = a.double(), b.double()
    assert torch.equal(a.isfinite(), b.isfinite())
    a, b = a.nan_to_num(0, 0, 0), b.nan_to_num(0, 0, 0)
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-30))

"""Statistics of batch norms that fit the data, for the proof of an import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from specbuild.importing.pytorch.full_precision_worker import FullPrecision


def measure_statistics(model: Any, inputs: Sequence[Any]) -> dict[str, Any]:
    """Return the running means and variances, by their published names, that a batch has at every norm.

    With random ones, the values of a deep network can grow until rounding shows in its gradients.
    """
    norms = [m for m in model.modules() if getattr(m, "running_var", None) is not None]
    momenta = [m.momentum for m in norms]
    was_training = model.training
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches; there is only one
        with torch.no_grad(), FullPrecision():
            model.train()(*inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)
    buffers = model.named_buffers()
    return {n: b.detach().numpy().copy() for n, b in buffers if n.endswith(("running_mean", "running_var"))}

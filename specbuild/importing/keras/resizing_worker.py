"""Bilinear resizing in float64, for the proof: TensorFlow computes it in float32, whatever it is given.

In the original model, each such layer is compared alone with the same interpolation in float64, to what float32 can hold, and
gives the latter: so the rest of the model is compared as exactly as one without such a layer.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from specbuild.runtimes.worker_jobs import RefusedJob

FLOAT32_SHARE = 1e-6  # of the largest number: some roundings


def make_resizing_exact(model: Any) -> None:
    """Let the layers that resize bilinearly compute in float64. Raises RefusedJob, at a call, where that is another result."""
    for layer in model._flatten_layers():
        if getattr(layer, "interpolation", "") == "bilinear":
            layer.call = ExactResizing(layer)


class ExactResizing:
    """Takes the place of the method `call` of a layer."""

    def __init__(self, layer: Any):
        self.name, self.own_call = layer.name, layer.call

    def __call__(self, x: Any) -> Any:
        rounded = self.own_call(x)
        exact = x
        for axis, equation in ((1, "oi,bixc->boxc"), (2, "oi,bxic->bxoc")):
            exact = keras.ops.einsum(equation, blend_neighbours(x.shape[axis], rounded.shape[axis]), exact)
        difference, size = (float(keras.ops.max(keras.ops.abs(v))) for v in (rounded - exact, exact))
        if difference > FLOAT32_SHARE * size:
            reason = f"{self.name} is no bilinear interpolation: it differs by {difference / size:.0e}"
            raise RefusedJob(reason)
        return exact


def blend_neighbours(size: int, new_size: int) -> Any:
    """Return the share of each old position in each new one, between the centers of pixels."""
    at = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    before = np.floor(at).astype(int)
    shares = np.zeros((new_size, size))
    for neighbour, share in ((before, 1 - (at - before)), (before + 1, at - before)):
        np.add.at(shares, (np.arange(new_size), neighbour.clip(0, size - 1)), share)
    return shares

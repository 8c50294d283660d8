"""The parity worker for NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.parity_job import ParityJob
from specbuild.runtimes.worker_jobs import Worker


class NumpyJob(ParityJob):
    """Runs one job, forward only: NumPy has no gradients."""

    def to_tensor(self, array: Any) -> Any:
        return array.astype(self.job["dtype"]) if array.dtype.kind == "f" else array

    def to_numpy(self, tensor: Any) -> Any:
        return np.asarray(tensor)

    def trained_weights(self, model: Any) -> Mapping[str, Any]:
        return dict(walk_weights(model))

    def read(self, variable: tuple[Any, str]) -> Any:
        return getattr(*variable)

    def assign(self, variable: tuple[Any, str], tensor: Any) -> None:
        setattr(*variable, tensor)


def walk_weights(layer: Any, prefix: str = "") -> Iterator[tuple[str, tuple[Any, str]]]:
    """Yield the owner and the attribute of each array in a layer, by path."""
    for name, value in vars(layer).items():
        if isinstance(value, np.ndarray):
            yield prefix + name, (layer, name)
        elif hasattr(value, "__dict__"):
            yield from walk_weights(value, f"{prefix}{name}.")


def open_parity_worker(options: WorkerOptions) -> Worker:
    handshake = {"framework": f"numpy {np.__version__}", "device": "cpu", "switches": []}
    return Worker(lambda job: NumpyJob(job).run(), handshake)

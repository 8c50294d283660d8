"""Models that draw random numbers in training, as a variational autoencoder does: their training cannot be compared."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode, resolve_name

from specbuild.importing.pytorch.value_recorder_worker import find_source_line
from specbuild.runtimes.worker_jobs import RefusedJob

RANDOM = frozenset(
    "rand randn randint rand_like randn_like bernoulli bernoulli_ normal normal_ uniform_".split()
)


class RandomnessWatch(TorchFunctionMode):  # type: ignore[misc]
    """While it is active, a function that draws random numbers raises RefusedJob; dropout by a layer does not."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = (resolve_name(function) or getattr(function, "__name__", "")).rpartition(".")[2]
        if name in RANDOM:
            line = find_source_line()
            where = f" ({line})" if line else ""
            raise RefusedJob(f"the original draws random numbers then: {name}{where}")
        return function(*args, **(kwargs or {}))

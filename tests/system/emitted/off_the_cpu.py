"""Run as a program, with a backend and a file of jobs: every emitted file away from the CPU; failures are printed.

PyTorch runs on its meta device, which takes no tensor of another; Keras on PyTorch, with tensors that NumPy cannot read.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import torch


def made(job: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(job["source"], job["model"], "exec"), scope)
    return scope[job["model"]]()


def inputs(job: dict[str, Any], device: str) -> list[torch.Tensor]:
    return [
        torch.zeros(*shape, dtype=getattr(torch, "float32" if name == "float" else name), device=device)
        for shape, name in job["inputs"]
    ]


class LengthsOnTheCpu(torch.overrides.TorchFunctionMode):
    """Lengths of packed sequences must lie on the CPU, wherever the rest is: there they are ones, for want of data.

    PyTorch itself copies the order of a batch (`cpu()`), which no emitted file does. No other tensor of the meta
    device is copied: PyTorch refuses it.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.to and args[1:] == ("cpu", torch.int64) and args[0].is_meta:
            return torch.ones(args[0].shape, dtype=torch.int64)
        if function is torch.Tensor.cpu and args[0].is_meta:
            return torch.arange(len(args[0]))
        return function(*args, **(kwargs or {}))


def run_torch(job: dict[str, Any]) -> None:
    assert ".cpu()" not in job["source"]
    with torch.no_grad(), LengthsOnTheCpu():
        made(job).to("meta").train()(*inputs(job, "meta"))


def run_keras(job: dict[str, Any]) -> None:
    model, given = made(job), inputs(job, "cpu")
    model(given if len(given) > 1 else given[0], training=True)


def guarded() -> None:
    """Make NumPy refuse every tensor, but for those that Keras copies to the CPU first."""
    import keras

    copied = keras.src.backend.convert_to_numpy
    array, numpy = torch.Tensor.__array__, torch.Tensor.numpy

    def refused(tensor: torch.Tensor, *arguments: Any, **named: Any) -> NoReturn:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def allowed(x: Any) -> Any:
        torch.Tensor.__array__, torch.Tensor.numpy = array, numpy  # type: ignore[method-assign]
        try:
            return copied(x)
        finally:
            torch.Tensor.__array__ = torch.Tensor.numpy = refused  # type: ignore[method-assign]

    keras.src.backend.convert_to_numpy = allowed
    torch.Tensor.__array__ = torch.Tensor.numpy = refused  # type: ignore[method-assign]


def main(backend: str, jobs: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    run = {"torch": run_torch, "keras": run_keras}[backend]
    if backend == "keras":
        guarded()
    failures = {}
    for name, job in jobs.items():
        try:
            run(job)
        except Exception:  # every failure is reported
            failures[name] = traceback.format_exc(limit=-3)
    print("FAILURES", json.dumps(failures))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))

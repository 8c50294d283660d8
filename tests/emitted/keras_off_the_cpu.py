"""Run as a program: every emitted Keras file on PyTorch, with tensors that NumPy cannot read."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import keras
import torch


def guarded() -> None:
    """Make NumPy refuse every tensor, but for those that Keras copies to the CPU first."""
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


def run(job: dict[str, Any]) -> None:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(job["source"], job["model"], "exec"), scope)
    model = scope[job["model"]]()
    inputs = [torch.zeros(*shape, dtype=dtype(name)) for shape, name in job["inputs"]]
    model(inputs if len(inputs) > 1 else inputs[0], training=True)


def dtype(name: str) -> torch.dtype:
    return torch.float32 if name == "float" else getattr(torch, name)


def main(jobs: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    guarded()
    failures = {}
    for name, job in jobs.items():
        try:
            run(job)
        except Exception:
            failures[name] = traceback.format_exc(limit=-3)
    print("FAILURES", json.dumps(failures))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

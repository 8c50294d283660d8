"""Reads and writes state_dicts of PyTorch: `python -m specbuild.backends.torch.weights_worker FOLDER`, which holds job.json.

A pickle is never run: `weights_only=True` takes tensors and plain containers and refuses all else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

# What checkpoints call the state_dict that they hold beside other things, the best first.
INSIDE = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights")

ADVICE = "save the state_dict alone: torch.save(model.state_dict(), path)"


class Refused(Exception):
    """A file that is not read, and why."""


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    try:
        if job["do"] == "read":
            save_file(read(Path(job["file"])), folder / "out.safetensors")
        else:
            write(folder / "in.safetensors", folder / job["name"])
        result = {}
    except Refused as error:
        result = {"fault": str(error), "hint": ADVICE}
    (folder / "result.json").write_text(json.dumps(result))


def read(path: Path) -> dict[str, Any]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a stranger's file makes of the reader
        told = str(error).strip().split("\n", 1)[0]
        if "weights_only" in str(error) or "Weights only" in str(error):
            told = "it holds more than tensors, and a pickle is never run"
        raise Refused(told or type(error).__name__) from None
    return {name: array(name, value, torch) for name, value in state(found, torch).items()}


def state(found: Any, torch: Any) -> Mapping[str, Any]:
    """The state_dict of a file, or of the checkpoint that it is."""
    if not isinstance(found, Mapping):
        raise Refused(f"it holds a {type(found).__name__}, not a state_dict")
    if tensors(found, torch):
        return {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}
    for name in INSIDE:
        inner = found.get(name)
        if isinstance(inner, Mapping) and tensors(inner, torch):
            return {str(k): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    raise Refused(f"it holds {', '.join(sorted(map(str, found))[:8]) or 'nothing'}, but no state_dict")


def tensors(found: Mapping[Any, Any], torch: Any) -> bool:
    """Whether it is a state_dict: tensors by name, and at most what modules add of their own."""
    return any(isinstance(v, torch.Tensor) for v in found.values()) and not any(
        isinstance(v, Mapping) for v in found.values()
    )


def array(name: str, tensor: Any, torch: Any) -> Any:
    """A tensor as numbers; one that says to be larger than what is stored of it is refused."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise Refused(f"{name} is not a plain tensor")
    if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1 << 20):
        raise Refused(f"{name} of shape {tuple(tensor.shape)} is larger than what is stored of it")
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    if tensor.is_complex() or (tensor.is_floating_point() and tensor.element_size() < 2):
        raise Refused(f"{name} is of type {tensor.dtype}")
    return np.array(tensor.numpy(), order="C")


def write(source: Path, target: Path) -> None:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in load_file(source).items()}, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

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
STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights")

SAVE_HINT = "save the state_dict alone: torch.save(model.state_dict(), path)"


class RefusedFile(Exception):
    """A file that is not read, and why."""


def run_weights_job(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    try:
        if job["do"] == "read":
            save_file(read_state_dict(Path(job["file"])), folder / "out.safetensors")
        else:
            write_state_dict(folder / "in.safetensors", folder / job["name"])
        result = {}
    except RefusedFile as error:
        result = {"fault": str(error), "hint": SAVE_HINT}
    (folder / "result.json").write_text(json.dumps(result))


def read_state_dict(path: Path) -> dict[str, Any]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a stranger's file makes of the reader
        reason = str(error).strip().split("\n", 1)[0]
        if "weights_only" in str(error) or "Weights only" in str(error):
            reason = "it holds more than tensors, and a pickle is never run"
        raise RefusedFile(reason or type(error).__name__) from None
    return {name: to_array(name, value, torch) for name, value in find_state_dict(found, torch).items()}


def find_state_dict(found: Any, torch: Any) -> Mapping[str, Any]:
    """The state_dict of a file, or of the checkpoint that it is."""
    if not isinstance(found, Mapping):
        raise RefusedFile(f"it holds a {type(found).__name__}, not a state_dict")
    if is_state_dict(found, torch):
        return {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}
    for name in STATE_KEYS:
        inner = found.get(name)
        if isinstance(inner, Mapping) and is_state_dict(inner, torch):
            return {str(k): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    raise RefusedFile(f"it holds {', '.join(sorted(map(str, found))[:8]) or 'nothing'}, but no state_dict")


def is_state_dict(found: Mapping[Any, Any], torch: Any) -> bool:
    """Whether it is a state_dict: tensors by name, and at most what modules add of their own."""
    return any(isinstance(v, torch.Tensor) for v in found.values()) and not any(
        isinstance(v, Mapping) for v in found.values()
    )


def to_array(name: str, tensor: Any, torch: Any) -> Any:
    """A tensor as numbers; one that says to be larger than what is stored of it is refused."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise RefusedFile(f"{name} is not a plain tensor")
    if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1 << 20):
        raise RefusedFile(f"{name} of shape {tuple(tensor.shape)} is larger than what is stored of it")
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    if tensor.is_complex() or (tensor.is_floating_point() and tensor.element_size() < 2):
        raise RefusedFile(f"{name} is of type {tensor.dtype}")
    return np.array(tensor.numpy(), order="C")


def write_state_dict(source: Path, target: Path) -> None:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in load_file(source).items()}, target)


if __name__ == "__main__":
    run_weights_job(Path(sys.argv[1]))

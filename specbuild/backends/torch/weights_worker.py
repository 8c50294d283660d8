"""Read and write PyTorch state_dicts: `python -m specbuild.backends.torch.weights_worker FOLDER`.

FOLDER contains `job.json`. No code of a pickle is executed: `weights_only=True` accepts tensors and plain
containers, and rejects everything else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

# The keys under which checkpoints store a state_dict, in order of preference.
STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights")

SAVE_HINT = "save the state_dict alone: torch.save(model.state_dict(), path)"


class RefusedFile(Exception):
    """A file that is not read; the message says why."""


def run_weights_job(folder: Path) -> None:
    """Run the job of a folder, and write `result.json`: empty, or an error and a hint."""
    job = json.loads((folder / "job.json").read_text())
    try:
        if job["do"] == "read":
            save_file(read_state_dict(Path(job["file"])), folder / "out.safetensors")
        else:
            write_state_dict(folder / "in.safetensors", folder / job["name"])
        result = {}
    except RefusedFile as error:
        result = {"error": str(error), "hint": SAVE_HINT}
    (folder / "result.json").write_text(json.dumps(result))


def read_state_dict(path: Path) -> dict[str, Any]:
    """The tensors of a file as arrays, by name; raises RefusedFile."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious file can raise anything
        reason = str(error).strip().split("\n", 1)[0]
        if "weights_only" in str(error) or "Weights only" in str(error):
            reason = "it contains more than tensors, and code in a pickle is never executed"
        raise RefusedFile(reason or type(error).__name__) from None
    return {name: to_array(name, value, torch) for name, value in find_state_dict(content, torch).items()}


def find_state_dict(content: Any, torch: Any) -> Mapping[str, Any]:
    """The content of a file if it is a state_dict, or the state_dict inside a checkpoint."""
    if not isinstance(content, Mapping):
        raise RefusedFile(f"it contains a {type(content).__name__}, not a state_dict")
    if is_state_dict(content, torch):
        return {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    for name in STATE_KEYS:
        inner = content.get(name)
        if isinstance(inner, Mapping) and is_state_dict(inner, torch):
            return {str(k): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    keys = ", ".join(sorted(map(str, content))[:8]) or "nothing"
    raise RefusedFile(f"it contains {keys}, but no state_dict")


def is_state_dict(content: Mapping[Any, Any], torch: Any) -> bool:
    """Whether a mapping contains tensors and no other mapping."""
    values = content.values()
    has_tensor = any(isinstance(v, torch.Tensor) for v in values)
    return has_tensor and not any(isinstance(v, Mapping) for v in values)


def to_array(name: str, tensor: Any, torch: Any) -> Any:
    """A tensor as an array; raises RefusedFile if it declares more elements than the file stores."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise RefusedFile(f"{name} is not a plain tensor")
    if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1 << 20):
        raise RefusedFile(f"{name} of shape {tuple(tensor.shape)} is larger than the data stored for it")
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    if tensor.is_complex() or (tensor.is_floating_point() and tensor.element_size() < 2):
        raise RefusedFile(f"{name} has the unsupported type {tensor.dtype}")
    return np.array(tensor.numpy(), order="C")


def write_state_dict(source: Path, target: Path) -> None:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in load_file(source).items()}, target)


if __name__ == "__main__":
    run_weights_job(Path(sys.argv[1]))

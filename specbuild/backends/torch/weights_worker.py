"""The worker that reads and writes PyTorch state_dicts.

No code of a pickle is executed: `weights_only=True` accepts tensors and plain containers, and rejects
everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.runtimes.archive_limits import MAX_TENSORS, TOO_MANY
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors

# The keys under which checkpoints store a state_dict, in order of preference.
STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights")

SAVE_HINT = "save the state_dict alone: torch.save(model.state_dict(), path)"


def open_weights_worker(options: WorkerOptions) -> Worker:
    return Worker(run_job)


def run_job(job: Job) -> Tensors | None:
    """Return the tensors of the file of a job, or write that file."""
    if job["do"] == "read":
        return read_state_dict(Path(job["path"]))
    write_state_dict(load_tensors(job["arrays"]), Path(job["path"]))
    return None


def read_state_dict(path: Path) -> dict[str, Any]:
    """Return the tensors of a file as arrays, by name; raises RefusedJob."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious file can raise anything
        reason = str(error).strip().split("\n", 1)[0]
        if "weights_only" in str(error) or "Weights only" in str(error):
            reason = "it contains more than tensors, and code in a pickle is never executed"
        raise RefusedJob(reason or type(error).__name__, SAVE_HINT) from None
    found = find_state_dict(content, torch)
    if len(found) > MAX_TENSORS:
        raise RefusedJob(TOO_MANY)
    return {name: to_array(name, value, torch) for name, value in found.items()}


def find_state_dict(content: Any, torch: Any) -> Mapping[str, Any]:
    """Return the content of a file if it is a state_dict, or the state_dict inside a checkpoint."""
    if not isinstance(content, Mapping):
        raise RefusedJob(f"it contains a {type(content).__name__}, not a state_dict", SAVE_HINT)
    if is_state_dict(content, torch):
        return {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    for name in STATE_KEYS:
        inner = content.get(name)
        if isinstance(inner, Mapping) and is_state_dict(inner, torch):
            return {str(k): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    keys = ", ".join(sorted(map(str, content))[:8]) or "nothing"
    raise RefusedJob(f"it contains {keys}, but no state_dict", SAVE_HINT)


def is_state_dict(content: Mapping[Any, Any], torch: Any) -> bool:
    """Return whether a mapping contains tensors and no other mapping."""
    values = content.values()
    has_tensor = any(isinstance(v, torch.Tensor) for v in values)
    return has_tensor and not any(isinstance(v, Mapping) for v in values)


def to_array(name: str, tensor: Any, torch: Any) -> Any:
    """Return a tensor as an array; raises RefusedJob if it declares more elements than the file stores."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise RefusedJob(f"{name} is not a plain tensor", SAVE_HINT)
    if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1 << 20):
        raise RefusedJob(
            f"{name} of shape {tuple(tensor.shape)} is larger than the data stored for it", SAVE_HINT
        )
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    if tensor.is_complex() or (tensor.is_floating_point() and tensor.element_size() < 2):
        raise RefusedJob(f"{name} has the unsupported type {tensor.dtype}", SAVE_HINT)
    return np.array(tensor.numpy(), order="C")


def write_state_dict(values: Tensors, target: Path) -> None:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in values.items()}, target)

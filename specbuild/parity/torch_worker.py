"""Runs emitted PyTorch files: `python -m specbuild.parity.torch_worker JOBS`, where JOBS is a folder of jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    for job in json.loads((folder / "jobs.json").read_text()):
        place = folder / job["name"]
        torch.set_default_dtype(getattr(torch, job["dtype"]))
        try:
            np.savez(place / "torch_out.npz", **run(torch, place, job))
        except Exception as error:  # reported by the parent, with the job's name
            (place / "torch_error.txt").write_text(f"{type(error).__name__}: {error}")
            if job.get("trace"):
                raise


def run(torch: Any, place: Path, job: dict[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": f"emitted_{job['name']}"}
    exec(compile((place / "model_torch.py").read_text(), str(place / "model_torch.py"), "exec"), scope)
    model = scope[job["model"]]()
    weights = np.load(place / "torch_weights.npz")
    state = {k: torch.from_numpy(weights[k]) for k in weights.files}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"weights missing {missing} unexpected {unexpected}")
    model.train(job["mode"] == "train")
    arrays = np.load(place / "torch_inputs.npz")
    inputs = [torch.from_numpy(arrays[k]) for k in job["inputs"]]
    for x in inputs:
        if x.is_floating_point():
            x.requires_grad_(True)
    result = model(*inputs)
    outputs = (
        list(result.values())
        if isinstance(result, dict)
        else list(result)
        if isinstance(result, tuple | list)
        else [result]
    )
    found = {f"output.{n}": y.detach().numpy() for n, y in zip(job["outputs"], outputs, strict=True)}
    heads = np.load(place / "torch_heads.npz")
    scalar = sum(
        (y * torch.from_numpy(heads[n]).to(y.dtype)).sum()
        for n, y in zip(job["outputs"], outputs, strict=True)
        if y.is_floating_point()
    )
    if isinstance(scalar, torch.Tensor) and scalar.requires_grad:
        scalar.backward()
        found |= {
            f"grad.{n}": x.grad.numpy()
            for n, x in zip(job["inputs"], inputs, strict=True)
            if x.grad is not None
        }
        found |= {f"gradw.{n}": p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    if job["mode"] == "train":
        found |= {f"state.{n}": b.numpy() for n, b in model.named_buffers() if b.is_floating_point()}
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run as a program: every emitted PyTorch file forward on the meta device, which takes no tensor of another."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch


def run(job: dict[str, Any]) -> None:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(job["source"], job["model"], "exec"), scope)
    model = scope[job["model"]]().to("meta")
    inputs = [torch.empty(*shape, dtype=dtype(name), device="meta") for shape, name in job["inputs"]]
    with torch.no_grad():
        model.train()(*inputs)


def dtype(name: str) -> torch.dtype:
    return torch.float32 if name == "float" else getattr(torch, name)


def main(jobs: dict[str, Any]) -> None:
    failures = {}
    for name, job in jobs.items():
        try:
            run(job)
        except Exception:
            failures[name] = traceback.format_exc(limit=-3)
    print("FAILURES", json.dumps(failures))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

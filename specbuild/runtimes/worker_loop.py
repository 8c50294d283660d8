"""The loop of every parity worker: read jobs from standard input, write answers to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Job = dict[str, Any]
Tensors = dict[str, Any]


def serve_jobs(hello: Job, run_job: Callable[[Job], Tensors]) -> None:
    """Send `hello`, then run every job until the input ends.

    The tensors of a job are saved in the file `out` of the job. The answer says that it is done, or why it
    failed.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # frameworks print to standard output too; this must not look like an answer

    def send_answer(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    send_answer(hello)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            tensors = run_job(job)
        except Exception as error:  # the parent process reports it, with the name of the case
            if os.environ.get("SPECBUILD_TRACEBACK") == "1":
                import traceback

                traceback.print_exc()
            send_answer({"error": f"{type(error).__name__}: {error}"})
            continue
        save_tensors(job["out"], tensors)
        send_answer({"done": True})


def save_tensors(file: str, tensors: Tensors) -> None:
    from safetensors.numpy import save_file

    save_file({key: np.array(value, order="C") for key, value in tensors.items()}, file)


def load_tensors(file: str) -> Tensors:
    from safetensors.numpy import load_file

    return {name: np.array(value) for name, value in load_file(file).items()}


def execute_source(code: Any, job: Job, scope: dict[str, Any]) -> dict[str, Any]:
    """Execute an emitted file (text or syntax tree) in `scope`, and return the scope."""
    scope |= {"__name__": f"emitted_{job['name']}"}
    exec(compile(code, job["file"], "exec"), scope)
    return scope


def order_outputs(result: Any, names: list[str]) -> list[Any]:
    """A model's outputs as a list, in the order of the spec."""
    if isinstance(result, dict):
        return [result[name] for name in names]
    return list(result) if isinstance(result, list | tuple) else [result]

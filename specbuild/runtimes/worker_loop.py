"""What both workers are: a process that is given jobs, a line of JSON each, and answers with lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Job = dict[str, Any]
Found = dict[str, Any]


def serve(hello: Job, run: Callable[[Job], Found]) -> None:
    """Answer every job with what it found, in a file, or with the reason why not; end with the input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a framework prints is no answer

    def answer(told: Mapping[str, Any]) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    answer(hello)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            found = run(job)
        except Exception as error:  # told by the parent, with the name of the case
            if os.environ.get("SPECBUILD_TRACEBACK") == "1":
                import traceback

                traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"})
            continue
        save(job["out"], found)
        answer({"done": True})


def save(file: str, found: Found) -> None:
    from safetensors.numpy import save_file

    save_file({key: np.array(value, order="C") for key, value in found.items()}, file)


def read(file: str) -> Found:
    from safetensors.numpy import load_file

    return {name: np.array(value) for name, value in load_file(file).items()}


def executed(code: Any, job: Job, scope: dict[str, Any]) -> dict[str, Any]:
    """Run a file as a module of this name; what it defines."""
    scope |= {"__name__": f"emitted_{job['name']}"}
    exec(compile(code, job["file"], "exec"), scope)
    return scope


def listed(result: Any, names: list[str]) -> list[Any]:
    """The outputs in the order of the spec; a framework may give them in another."""
    if isinstance(result, dict):
        return [result[name] for name in names]
    return list(result) if isinstance(result, list | tuple) else [result]

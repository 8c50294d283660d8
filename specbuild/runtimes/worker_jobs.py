"""What a process and its workers exchange: jobs as JSON in lines of text, and arrays in files that a job names.

Every line is a list of two: the token of the job, and the job or its answer. The first line of a worker is its
handshake, with FIRST_TOKEN. Then it answers each job with one line: `{}`, `{"refused": reason, "hint": hint}` if the
input is at fault, or `{"error": text}` for any other exception.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from msgspec import Struct, field

from specbuild.runtimes.jobs import WorkerOptions

Job = dict[str, Any]
Tensors = dict[str, Any]

FIRST_TOKEN = "handshake"


class RefusedJob(Exception):
    """A job whose input a worker does not accept. The message says why."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class Worker(Struct, frozen=True):
    """What the function that opens a worker returns. It gets the WorkerOptions, and imports the framework.

    If `run_job` returns tensors, they are saved in the file `out` of the job.
    """

    run_job: Callable[[Job], Tensors | None]
    handshake: Job = field(default_factory=dict)  # of a parity worker: the framework, its device and switches


def open_worker(entry: str, options: WorkerOptions) -> Worker:
    """Return the worker of an entry MODULE:FUNCTION, in this process."""
    module, _, function = entry.partition(":")
    worker: Worker = getattr(import_module(module), function)(options)
    return worker


def save_tensors(file: str, tensors: Tensors) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({name: np.array(value, order="C", copy=None) for name, value in tensors.items()}, file)


def load_tensors(file: str) -> Tensors:
    from safetensors.numpy import load_file

    return dict(load_file(file))

"""A worker process: `python -m specbuild.runtimes.worker_loop MODULE:FUNCTION OPTIONS`, with WorkerOptions as JSON.

The function is that of a backend which opens a worker. Jobs are read from standard input, and answers are
written to standard output; see `worker_jobs`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import FIRST_TOKEN, Job, RefusedJob, open_worker, save_tensors


def serve_jobs(entry: str, options: WorkerOptions) -> None:
    """Open the worker of an entry MODULE:FUNCTION, send its handshake, and run jobs until the input ends."""
    jobs, answers = take_standard_input(), take_standard_output()
    worker = open_worker(entry, options)
    # What the framework has created stays to the end. Without this, each collection of garbage, which Keras asks
    # for before every job, would look at all of it: a quarter of a second.
    gc.freeze()
    send_message(answers, FIRST_TOKEN, worker.handshake)
    for line in jobs:
        token, job = json.loads(line)
        send_message(answers, token, answer_job(worker.run_job, job))


def take_standard_input() -> TextIO:
    """Return the standard input, for jobs only: code that reads from it finds nothing there."""
    jobs = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return jobs


def take_standard_output() -> TextIO:
    """Return the standard output, for answers only: what frameworks print there goes to standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def answer_job(run: Callable[[Job], Any], job: Job) -> Job:
    """Run a job, save its tensors, and return the answer."""
    try:
        tensors = run(job)
        if tensors is not None:
            save_tensors(job["out"], tensors)
    except RefusedJob as refusal:
        return {"refused": str(refusal), "hint": refusal.hint}
    except Exception as error:  # the parent process reports it, with the name of the case or file
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {}


def send_message(answers: TextIO, token: str, message: Mapping[str, Any]) -> None:
    answers.write(json.dumps([token, message]) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve_jobs(sys.argv[1], WorkerOptions(**json.loads(sys.argv[2])))

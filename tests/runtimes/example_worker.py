"""A worker without a framework, for tests of the protocol."""

from __future__ import annotations

import os
import signal
import sys
import time

from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors

FAIL_AT_START = "SPECBUILD_TEST_FAIL_AT_START"


def open_worker(options: WorkerOptions) -> Worker:
    print("a framework greets on standard output")
    if FAIL_AT_START in os.environ:
        raise ImportError("libframework.so is missing")
    record = {"framework": "example", "device": "cpu", "switches": [], "threads": options.threads}
    return Worker(run_job, {**record, "pid": os.getpid(), "environment": dict(os.environ)})


def run_job(job: Job) -> Tensors | None:
    print("a framework prints", job)
    match job.get("do", "hang"):
        case "double":
            return {name: 2 * value for name, value in load_tensors(job["arrays"]).items()}
        case "refuse":
            raise RefusedJob("a file with nonsense", "give another")
        case "raise":
            raise ValueError("no\n such  thing")
        case "exit":
            sys.stderr.write("the last words\n\n")
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
    return None

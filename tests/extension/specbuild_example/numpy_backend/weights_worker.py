"""The worker that reads and writes `.npz` files."""

from __future__ import annotations

import numpy as np

from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors


def open_weights_worker(options: WorkerOptions) -> Worker:
    return Worker(run_job)


def run_job(job: Job) -> Tensors | None:
    """Return the arrays in the file `path` of a job, or write that file."""
    if job["do"] == "write":
        np.savez(job["path"], **load_tensors(job["arrays"]))
        return None
    try:
        with np.load(job["path"], allow_pickle=False) as archive:
            return {name: np.array(archive[name]) for name in archive.files}
    except ValueError as error:
        raise RefusedJob(str(error)) from None

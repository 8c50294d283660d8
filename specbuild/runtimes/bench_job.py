"""One measurement in a worker process: how long a model takes for one batch, and how much memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from specbuild.runtimes.emitted_file import execute_source
from specbuild.runtimes.worker_jobs import Job, Tensors

WARM_UP = 3  # calls before the first that counts: frameworks compile and choose kernels in them
MIN_CALLS = 5


def run_bench_job(
    job: Job,
    load: Callable[[Any], Callable[[list[Any]], Any]],
    device_memory: Callable[[], int | None] = lambda: None,
) -> Tensors:
    """Return the seconds of each call, and the memory in bytes beyond that of the framework itself.

    `load` returns a function that calls the model with arrays and waits for the result. `device_memory` returns
    the peak of a GPU; without one, the peak of the process is taken.
    """
    before = resident_bytes()
    code = Path(job["file"]).read_text(encoding="utf-8")
    call = load(execute_source(code, job, {})[job["model"]])
    inputs = [make_input(x["shape"], x["dtype"]) for x in job["inputs"]]
    for _ in range(WARM_UP):
        call(inputs)
    latencies: list[float] = []
    end = perf_counter() + job["seconds"]
    while perf_counter() < end or len(latencies) < MIN_CALLS:
        start = perf_counter()
        call(inputs)
        latencies.append(perf_counter() - start)
    memory = device_memory()
    peak = peak_bytes() - before if memory is None else memory
    return {"latency": np.array(latencies), "memory": np.array([max(peak, 0)], dtype="int64")}


def make_input(shape: list[int], dtype: str) -> Any:
    """Return an input: random numbers, or zeros where integers are indices."""
    if dtype in ("float16", "float32", "float64"):
        return np.random.default_rng(0).standard_normal(shape).astype("float32")
    return np.ones(shape, dtype="bool") if dtype == "bool" else np.zeros(shape, dtype=dtype)


def resident_bytes() -> int:
    """Return the memory of this process now; its peak so far, where only that is known."""
    try:
        import os

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return peak_bytes()


def peak_bytes() -> int:
    """Return the largest memory that this process had; 0 where it is unknown (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

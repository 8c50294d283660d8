"""Many cases at once: as many lanes of processes as cores and memory allow, and what they say of themselves."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.ops.types import join_names
from specbuild.parity.compare import ParityReport, WorkerLane
from specbuild.runtimes.jobs import ParityCase, Runtime, WorkerOptions
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

MEMORY_PER_PROCESS = 3 * 2**30  # bytes that a process of a framework may need


def require_packages(runtimes: Sequence[Runtime]) -> None:
    """Whether everything is there that these runs import; SpecError if not."""
    for backend, modules in (
        ("torch", ("torch",)),
        ("keras", ("keras", *runtimes)),
        ("keras", ("safetensors",)),
    ):
        for module in modules:
            if find_spec(module) is None:
                raise missing_package(backend, module)


def count_lanes(cases: int, options: WorkerOptions, runtimes: int, wanted: int | None = None) -> int:
    """How many lanes run side by side: two cores each, room for their processes, one on a GPU."""
    if wanted is not None:
        return max(1, min(wanted, cases))
    if options.device == "cuda":
        return 1
    return max(1, min(cases, count_cores() // 2, free_memory() // (MEMORY_PER_PROCESS * (1 + runtimes))))


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that are free; enough for one lane where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 0


def run_cases(
    cases: Sequence[ParityCase],
    options: WorkerOptions,
    runtimes: Sequence[Runtime],
    on_report: Callable[[ParityReport], None],
    jobs: int | None = None,
) -> list[dict[str, Any]]:
    """Run every case on every runtime; what each process says of itself. Raises SpecError if a device is not there."""
    count = count_lanes(len(cases), options, len(runtimes), jobs)
    options = replace(options, threads=max(1, count_cores() // (2 * count)))
    waiting: queue.Queue[ParityCase] = queue.Queue()
    for case in cases:
        waiting.put(case)
    running = [WorkerLane(options, runtimes) for _ in range(count)]
    greetings = [start_process(process) for process in (running[0].torch, *running[0].keras.values())]
    if None in (hello["device"] for hello in greetings):
        for process in (running[0].torch, *running[0].keras.values()):
            process.stop_process()
        lacking = [hello["framework"] for hello in greetings if hello["device"] is None]
        message = f"there is no GPU here for {join_names(lacking)}"
        raise SpecError("SB604", message, hint="compare on the CPU: --device cpu")
    errors: list[BaseException] = []
    lock = threading.Lock()

    def next_case() -> Iterator[ParityCase]:
        while not errors:
            try:
                yield waiting.get_nowait()
            except queue.Empty:
                return

    def report_alone(report: ParityReport) -> None:
        with lock:
            on_report(report)

    def work(lane: WorkerLane) -> None:
        try:
            lane.run_cases(next_case(), report_alone)
        except BaseException as error:  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return greetings


def start_process(process: WorkerProcess) -> dict[str, Any]:
    try:
        return process.ensure_started()
    except WorkerFailure as failure:
        process.stop_process()
        name = "PyTorch" if process.runtime is None else f"Keras on {process.runtime}"
        raise SpecError("SB603", f"{name} does not start: {failure}") from None

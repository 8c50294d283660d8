"""Run many cases in parallel, in as many lanes of worker processes as cores and memory allow."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names
from specbuild.parity.case import ParityCase
from specbuild.parity.compare import ParityReport, WorkerLane
from specbuild.parity.participants import Lineup
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

MEMORY_PER_PROCESS = 3 * 2**30  # bytes


def count_lanes(cases: int, options: WorkerOptions, processes: int, wanted: int | None = None) -> int:
    """Return the number of lanes to run in parallel: two cores per lane and enough memory.

    One lane on a GPU.
    """
    if wanted is not None:
        return max(1, min(wanted, cases))
    if options.device == "cuda":
        return 1
    return max(1, min(cases, count_cores() // 2, free_memory() // (MEMORY_PER_PROCESS * processes)))


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return the available memory in bytes; 0 if it is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 0


def run_cases(
    cases: Sequence[ParityCase],
    options: WorkerOptions,
    lineup: Lineup,
    on_report: Callable[[ParityReport], None],
    jobs: int | None = None,
) -> list[dict[str, Any]]:
    """Compare every case with the reference on every runtime; returns the records of the worker processes.

    `on_report` is called with each result, from one thread at a time. `jobs` is the number of lanes; None:
    chosen from cores and memory. A record has the framework, the device and the switches of one process; all
    lanes have the same. Raises SpecError SB603 if a framework does not start, and SB604 if the device is
    missing.
    """
    lane_count = count_lanes(len(cases), options, len(lineup.participants), jobs)
    options = replace(options, threads=max(1, count_cores() // (2 * lane_count)))
    lanes = [WorkerLane(options, lineup) for _ in range(lane_count)]
    try:
        records = start_lane(lanes[0])
        run_lanes(lanes, cases, on_report)
    finally:
        for lane in lanes:
            lane.close()
    return records


def start_lane(lane: WorkerLane) -> list[dict[str, Any]]:
    """Start the processes of a lane, and return their records; raises SpecError SB603 and SB604."""
    records = [start_process(process) for process in lane.processes]
    without_device = [record["framework"] for record in records if record["device"] is None]
    if without_device:
        message = f"no GPU is available to {join_names(without_device)}"
        raise SpecError("SB604", message, hint="compare on the CPU: --device cpu")
    return records


def run_lanes(
    lanes: Sequence[WorkerLane], cases: Sequence[ParityCase], on_report: Callable[[ParityReport], None]
) -> None:
    """Run the lanes in threads; each takes the next case when it is free. Stops at an error and raises it."""
    waiting: queue.Queue[ParityCase] = queue.Queue()
    for case in cases:
        waiting.put(case)
    errors: list[BaseException] = []
    lock = threading.Lock()

    def take_cases() -> Iterator[ParityCase]:
        while not errors:
            try:
                yield waiting.get_nowait()
            except queue.Empty:
                return

    def report_locked(report: ParityReport) -> None:
        with lock:
            on_report(report)

    def run_lane(lane: WorkerLane) -> None:
        try:
            lane.run_cases(take_cases(), report_locked)
        except BaseException as error:  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=run_lane, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException as error:  # a signal
        errors.append(error)
        for lane in lanes:
            lane.close()
        for thread in threads:
            thread.join()  # each removes its temporary folder
    if errors:
        raise errors[0]


def start_process(process: WorkerProcess) -> dict[str, Any]:
    """Start a process and return its record; raises SpecError SB603 if it fails."""
    try:
        return process.ensure_started()
    except WorkerFailure as failure:
        raise SpecError("SB603", f"{process.runtime.title} does not start: {failure}") from None

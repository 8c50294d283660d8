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
from specbuild.ops.types import listed
from specbuild.parity.compare import Lane, Report
from specbuild.runtimes.jobs import Case, Place, Runtime
from specbuild.runtimes.live import missing
from specbuild.runtimes.worker_process import Failure, Process

ROOM = 3 * 2**30  # bytes that a process of a framework may need


def installed(runtimes: Sequence[Runtime]) -> None:
    """Whether everything is there that these runs import; SpecError if not."""
    for backend, modules in (
        ("torch", ("torch",)),
        ("keras", ("keras", *runtimes)),
        ("keras", ("safetensors",)),
    ):
        for module in modules:
            if find_spec(module) is None:
                raise missing(backend, module)


def lanes(cases: int, place: Place, runtimes: int, wanted: int | None = None) -> int:
    """How many lanes run side by side: two cores each, room for their processes, one on a GPU."""
    if wanted is not None:
        return max(1, min(wanted, cases))
    if place.device == "cuda":
        return 1
    return max(1, min(cases, cores() // 2, memory() // (ROOM * (1 + runtimes))))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes that are free; enough for one lane where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 0


def run(
    cases: Sequence[Case],
    place: Place,
    runtimes: Sequence[Runtime],
    done: Callable[[Report], None],
    jobs: int | None = None,
) -> list[dict[str, Any]]:
    """Run every case on every runtime; what each process says of itself. Raises SpecError if a device is not there."""
    count = lanes(len(cases), place, len(runtimes), jobs)
    place = replace(place, threads=max(1, cores() // (2 * count)))
    waiting: queue.Queue[Case] = queue.Queue()
    for case in cases:
        waiting.put(case)
    running = [Lane(place, runtimes) for _ in range(count)]
    told = [greeted(process) for process in (running[0].torch, *running[0].keras.values())]
    if None in (hello["device"] for hello in told):
        for process in (running[0].torch, *running[0].keras.values()):
            process.stop()
        lacking = [hello["framework"] for hello in told if hello["device"] is None]
        message = f"there is no GPU here for {listed(lacking)}"
        raise SpecError("SB604", message, hint="compare on the CPU: --device cpu")
    faults: list[BaseException] = []
    lock = threading.Lock()

    def next_case() -> Iterator[Case]:
        while not faults:
            try:
                yield waiting.get_nowait()
            except queue.Empty:
                return

    def told_alone(report: Report) -> None:
        with lock:
            done(report)

    def work(lane: Lane) -> None:
        try:
            lane.run(next_case(), told_alone)
        except BaseException as error:  # raised again below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return told


def greeted(process: Process) -> dict[str, Any]:
    try:
        return process.start()
    except Failure as failure:
        process.stop()
        name = "PyTorch" if process.runtime is None else f"Keras on {process.runtime}"
        raise SpecError("SB603", f"{name} does not start: {failure}") from None

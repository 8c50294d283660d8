"""The same weights and inputs through both emitted files, and the differences."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specbuild.parity.difference import FORWARD, GRADIENTS, Difference, difference, related
from specbuild.parity.exchange import Exchange
from specbuild.parity.rounding import Truth
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict, tolerance
from specbuild.parity.trace import Traced
from specbuild.runtimes.jobs import Case, Place, Runtime
from specbuild.runtimes.worker_process import Failure, Process

__all__ = ["Case", "Lane", "Place", "Report", "compare"]


@dataclass
class Report:
    """What came out of one case on one runtime of Keras."""

    name: str
    error: str = ""  # why a file could not be run, or gives numbers that are none
    found: list[Difference] = field(default_factory=list)
    runtime: Runtime = "tensorflow"
    tolerance: Tolerance = field(default_factory=lambda: Tolerance(1e-9, 1e-9, ""))
    steps: dict[str, Traced] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)  # steps that one of the files has not shown
    seed: int = 0

    @property
    def differences(self) -> dict[str, float]:
        return {d.key: d.relative for d in self.found}

    @property
    def worst(self) -> float:
        return max((d.relative for d in self.found), default=0.0)

    @property
    def equal(self) -> bool:
        """Whether nothing fails."""
        return not self.error and not self.failing()

    @property
    def verdict(self) -> Verdict:
        """The worst of all tensors."""
        return max((self.tolerance.verdict(d) for d in self.found), key=VERDICTS.index, default="equal")

    def failing(self, *kinds: str) -> list[Difference]:
        return [d for d in self.judged("differs") if not kinds or d.kind in kinds]

    def judged(self, verdict: Verdict) -> list[Difference]:
        return [d for d in self.found if self.tolerance.verdict(d) == verdict]

    def first(self) -> str:
        """The path of the step where the files part: the first of those that give other numbers, or that lead to
        these and differ by more than rounding; of gradients, which run backward, the last."""
        order = {path: at for at, path in enumerate(self.steps)}

        def place(d: Difference) -> int:
            path = d.path if d.path in order else d.path.rpartition(".")[0]
            return order.get(path, len(order))

        def step(d: Difference) -> str:
            return d.path if d.path in order else d.path.rpartition(".")[0]

        forward = [d for d in self.failing(*FORWARD) if step(d) in order]
        if forward:
            strayed = [d for d in self.judged("close") if d.kind == "step" and d.path in order and d.strayed]
            return step(min([*forward, *strayed], key=place))
        for kinds in (GRADIENTS, ("statistic",)):
            known = [d for d in self.failing(*kinds) if step(d) in order]
            if known:
                return step(max(known, key=place) if kinds == GRADIENTS else min(known, key=place))
        known = [d for d in self.failing() if step(d) in order]
        return step(max(known, key=place)) if known else ""

    def numberless(self) -> Difference | None:
        """The first step that is not a number, in the order of the graph."""
        found = {d.path: d for d in self.found if d.kind == "step" and "NaN" in d.broken}
        return next((found[path] for path in self.steps if path in found), None)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        name = max(self.differences, key=lambda k: self.differences[k], default="-")
        return f"{self.name}: {self.worst:.1e} at {name} ({len(self.differences)} tensors)"


class Lane:
    """One process of PyTorch and one of Keras on each runtime, side by side: Keras does a case while PyTorch does
    the next one."""

    def __init__(self, place: Place, runtimes: Sequence[Runtime]):
        self.place, self.runtimes = place, runtimes
        self.torch = Process(place)
        self.keras = {runtime: Process(place, runtime) for runtime in runtimes}

    def run(self, cases: Iterable[Case], done: Callable[[Report], None]) -> None:
        """Every case on every runtime; `done` is given each report as it comes."""
        handed: queue.Queue[Callable[[], None] | None] = queue.Queue(2)
        faults: list[BaseException] = []

        def second() -> None:
            while (task := handed.get()) is not None:
                if not faults:
                    try:
                        task()
                    except BaseException as error:  # raised again below
                        faults.append(error)

        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        try:
            with tempfile.TemporaryDirectory(prefix="specbuild-parity-") as folder:
                for number, case in enumerate(cases):
                    if faults:
                        break
                    self.case(Exchange(case, Path(folder) / str(number)), handed, done)
                handed.put(None)
                thread.join()
        finally:
            handed.put(None) if thread.is_alive() else None
            for process in (self.torch, *self.keras.values()):
                process.stop()
        if faults:
            raise faults[0]

    def case(self, exchange: Exchange, handed: queue.Queue[Any], done: Callable[[Report], None]) -> None:
        try:
            if exchange.calibrates:
                scaled = exchange.job("torch", "_scaled", dtype="float64", calibrate=True)
                self.torch.ask(scaled)
                exchange.recalibrated(scaled)
            job = exchange.job("torch")
            self.torch.ask(job)
            truth = Truth(exchange, self.torch, job)
        except Failure as failure:
            for runtime in self.runtimes:
                done(self.report(exchange, runtime, f"PyTorch: {failure}"))
            shutil.rmtree(exchange.folder)
            return
        handed.put(lambda: self.others(exchange, truth, done))

    def others(self, exchange: Exchange, truth: Truth, done: Callable[[Report], None]) -> None:
        for runtime in self.runtimes:
            keras = exchange.job("keras", f"_{runtime}")
            try:
                self.keras[runtime].ask(keras)
            except Failure as failure:
                done(self.report(exchange, runtime, f"Keras on {runtime}: {failure}"))
                continue
            try:
                report = self.judged(exchange, runtime, truth, keras)
            except Failure as failure:
                report = self.report(exchange, runtime, f"while rounding was measured: {failure}")
            done(report)
        shutil.rmtree(exchange.folder)

    def report(self, exchange: Exchange, runtime: Runtime, error: str = "") -> Report:
        case = exchange.case
        allowed = tolerance(case.model, case.dtype, runtime, self.place.tf32)
        return Report(case.name, error, [], runtime, allowed, exchange.steps, seed=case.seed)

    def judged(self, exchange: Exchange, runtime: Runtime, truth: Truth, keras: dict[str, Any]) -> Report:
        report = self.report(exchange, runtime)
        report.found = [difference(*pair) for pair in exchange.pairs(truth.torch, keras)]
        related(report.found, exchange.case.dtype)
        if not report.tolerance.decides:
            truth.measure(report.found, keras, self.keras[runtime], report.tolerance)
        if exchange.case.steps:
            report.lacking = exchange.lacking(truth.torch, keras)
        outputs = [d for d in report.found if d.kind in ("output", "trained_output") and "NaN" in d.broken]
        if outputs:
            report.error = f"output `{outputs[0].path}`: {outputs[0].broken}"
        return report


def compare(cases: list[Case], timeout: float = 2400, runtime: Runtime = "tensorflow") -> list[Report]:
    """Run every case in one process for each framework."""
    reports: dict[str, Report] = {}
    Lane(Place(timeout=timeout), [runtime]).run(cases, lambda report: reports.update({report.name: report}))
    return [reports[case.name] for case in cases]

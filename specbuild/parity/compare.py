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

from specbuild.parity.difference import FORWARD, GRADIENTS, Difference, fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.rounding import Float64Reference
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict, choose_tolerance
from specbuild.parity.trace import TracedStep
from specbuild.runtimes.jobs import ParityCase, Runtime, WorkerOptions
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

__all__ = ["ParityCase", "ParityReport", "WorkerLane", "WorkerOptions", "compare_cases"]


@dataclass
class ParityReport:
    """What came out of one case on one runtime of Keras."""

    name: str
    error: str = ""  # why a file could not be run, or gives numbers that are none
    differences: list[Difference] = field(default_factory=list)
    runtime: Runtime = "tensorflow"
    tolerance: Tolerance = field(default_factory=lambda: Tolerance(1e-9, 1e-9, ""))
    steps: dict[str, TracedStep] = field(default_factory=dict)
    unrecorded_steps: list[str] = field(default_factory=list)  # steps that one of the files has not shown
    seed: int = 0

    @property
    def relative_by_key(self) -> dict[str, float]:
        return {d.key: d.relative for d in self.differences}

    @property
    def worst_relative(self) -> float:
        return max((d.relative for d in self.differences), default=0.0)

    @property
    def is_equal(self) -> bool:
        """Whether nothing fails."""
        return not self.error and not self.failing_differences()

    @property
    def worst_verdict(self) -> Verdict:
        """The worst of all tensors."""
        return max(
            (self.tolerance.judge_difference(d) for d in self.differences),
            key=VERDICTS.index,
            default="equal",
        )

    def failing_differences(self, *kinds: str) -> list[Difference]:
        return [d for d in self.differences_with("differs") if not kinds or d.kind in kinds]

    def differences_with(self, verdict: Verdict) -> list[Difference]:
        return [d for d in self.differences if self.tolerance.judge_difference(d) == verdict]

    def first_failing_step(self) -> str:
        """The path of the step where the files part: the first of those that give other numbers, or that lead to
        these and differ by more than rounding; of gradients, which run backward, the last."""
        order = {path: at for at, path in enumerate(self.steps)}

        def step_position(d: Difference) -> int:
            path = d.path if d.path in order else d.path.rpartition(".")[0]
            return order.get(path, len(order))

        def owning_step(d: Difference) -> str:
            return d.path if d.path in order else d.path.rpartition(".")[0]

        forward = [d for d in self.failing_differences(*FORWARD) if owning_step(d) in order]
        if forward:
            strayed = [
                d
                for d in self.differences_with("close")
                if d.kind == "step" and d.path in order and d.is_beyond_rounding
            ]
            return owning_step(min([*forward, *strayed], key=step_position))
        for kinds in (GRADIENTS, ("statistic",)):
            known = [d for d in self.failing_differences(*kinds) if owning_step(d) in order]
            if known:
                return owning_step(
                    max(known, key=step_position) if kinds == GRADIENTS else min(known, key=step_position)
                )
        known = [d for d in self.failing_differences() if owning_step(d) in order]
        return owning_step(max(known, key=step_position)) if known else ""

    def first_nan_step(self) -> Difference | None:
        """The first step that is not a number, in the order of the graph."""
        broken_by_path = {d.path: d for d in self.differences if d.kind == "step" and "NaN" in d.problem}
        return next((broken_by_path[path] for path in self.steps if path in broken_by_path), None)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        name = max(self.relative_by_key, key=lambda k: self.relative_by_key[k], default="-")
        return f"{self.name}: {self.worst_relative:.1e} at {name} ({len(self.relative_by_key)} tensors)"


class WorkerLane:
    """One process of PyTorch and one of Keras on each runtime, side by side: Keras does a case while PyTorch does
    the next one."""

    def __init__(self, options: WorkerOptions, runtimes: Sequence[Runtime]):
        self.options, self.runtimes = options, runtimes
        self.torch = WorkerProcess(options)
        self.keras = {runtime: WorkerProcess(options, runtime) for runtime in runtimes}

    def run_cases(self, cases: Iterable[ParityCase], on_report: Callable[[ParityReport], None]) -> None:
        """Every case on every runtime; `done` is given each report as it comes."""
        tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(2)
        errors: list[BaseException] = []

        def run_tasks() -> None:
            while (task := tasks.get()) is not None:
                if not errors:
                    try:
                        task()
                    except BaseException as error:  # raised again below
                        errors.append(error)

        thread = threading.Thread(target=run_tasks, daemon=True)
        thread.start()
        try:
            with tempfile.TemporaryDirectory(prefix="specbuild-parity-") as folder:
                for number, case in enumerate(cases):
                    if errors:
                        break
                    self.run_torch(CaseExchange(case, Path(folder) / str(number)), tasks, on_report)
                tasks.put(None)
                thread.join()
        finally:
            tasks.put(None) if thread.is_alive() else None
            for process in (self.torch, *self.keras.values()):
                process.stop_process()
        if errors:
            raise errors[0]

    def run_torch(
        self, exchange: CaseExchange, tasks: queue.Queue[Any], on_report: Callable[[ParityReport], None]
    ) -> None:
        try:
            if exchange.needs_calibration:
                scaled = exchange.write_job("torch", "_scaled", dtype="float64", calibrate=True)
                self.torch.run_job(scaled)
                exchange.load_calibrated(scaled)
            job = exchange.write_job("torch")
            self.torch.run_job(job)
            reference = Float64Reference(exchange, self.torch, job)
        except WorkerFailure as failure:
            for runtime in self.runtimes:
                on_report(self.new_report(exchange, runtime, f"PyTorch: {failure}"))
            shutil.rmtree(exchange.folder)
            return
        tasks.put(lambda: self.run_keras(exchange, reference, on_report))

    def run_keras(
        self, exchange: CaseExchange, reference: Float64Reference, on_report: Callable[[ParityReport], None]
    ) -> None:
        for runtime in self.runtimes:
            keras = exchange.write_job("keras", f"_{runtime}")
            try:
                self.keras[runtime].run_job(keras)
            except WorkerFailure as failure:
                on_report(self.new_report(exchange, runtime, f"Keras on {runtime}: {failure}"))
                continue
            try:
                report = self.judge_results(exchange, runtime, reference, keras)
            except WorkerFailure as failure:
                report = self.new_report(exchange, runtime, f"while rounding was measured: {failure}")
            on_report(report)
        shutil.rmtree(exchange.folder)

    def new_report(self, exchange: CaseExchange, runtime: Runtime, error: str = "") -> ParityReport:
        case = exchange.case
        allowed = choose_tolerance(case.model, case.dtype, runtime, self.options.tf32)
        return ParityReport(case.name, error, [], runtime, allowed, exchange.steps, seed=case.seed)

    def judge_results(
        self, exchange: CaseExchange, runtime: Runtime, reference: Float64Reference, keras: dict[str, Any]
    ) -> ParityReport:
        report = self.new_report(exchange, runtime)
        report.differences = [
            measure_difference(*pair) for pair in exchange.pair_tensors(reference.torch_job, keras)
        ]
        fill_relative(report.differences, exchange.case.dtype)
        if not report.tolerance.excludes_rounding:
            reference.measure_errors(report.differences, keras, self.keras[runtime], report.tolerance)
        if exchange.case.steps:
            report.unrecorded_steps = exchange.unrecorded_steps(reference.torch_job, keras)
        outputs = [
            d for d in report.differences if d.kind in ("output", "trained_output") and "NaN" in d.problem
        ]
        if outputs:
            report.error = f"output `{outputs[0].path}`: {outputs[0].problem}"
        return report


def compare_cases(
    cases: list[ParityCase], timeout: float = 2400, runtime: Runtime = "tensorflow"
) -> list[ParityReport]:
    """Run every case in one process for each framework."""
    reports: dict[str, ParityReport] = {}
    WorkerLane(WorkerOptions(timeout=timeout), [runtime]).run_cases(
        cases, lambda report: reports.update({report.name: report})
    )
    return [reports[case.name] for case in cases]

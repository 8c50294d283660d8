"""Run the emitted files of a case with the same weights and inputs, and report how they differ."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from specbuild.parity.case import ParityCase
from specbuild.parity.difference import FORWARD, GRADIENTS, Difference, fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.participants import Lineup, Participant, select_lineup
from specbuild.parity.rounding import Float64Reference
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict, choose_case_tolerance
from specbuild.parity.trace import TracedStep
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

__all__ = ["ParityCase", "ParityReport", "WorkerLane", "WorkerOptions", "compare_cases"]


class ParityReport(Struct):
    """The result of comparing one case on one runtime with the reference."""

    name: str
    error: str = ""  # why a file could not be run, or which output is NaN
    differences: list[Difference] = field(default_factory=list)
    participants: tuple[tuple[str, str], ...] = ()  # the backend and the runtime of both
    titles: tuple[str, str] = ("the reference", "the other")  # of both participants
    tolerance: Tolerance = field(default_factory=lambda: Tolerance(1e-9, 1e-9, ""))
    steps: dict[str, TracedStep] = field(default_factory=dict)  # in graph order
    unrecorded_steps: list[str] = field(default_factory=list)  # not recorded from at least one of the files
    seed: int = 0

    @property
    def runtime(self) -> str:
        """The name of the runtime that is compared with the reference."""
        return self.participants[1][1] if self.participants else ""

    @property
    def relative_by_key(self) -> dict[str, float]:
        return {d.key: d.relative for d in self.differences}

    @property
    def worst_relative(self) -> float:
        return max((d.relative for d in self.differences), default=0.0)

    @property
    def is_equal(self) -> bool:
        """Whether both files ran and no tensor differs."""
        return not self.error and not self.failing_differences()

    @property
    def worst_verdict(self) -> Verdict:
        verdicts = map(self.tolerance.judge_difference, self.differences)
        return max(verdicts, key=VERDICTS.index, default="equal")

    def failing_differences(self, *kinds: str) -> list[Difference]:
        """Return the tensors that differ; only those of some `kinds` if any are given."""
        return [d for d in self.differences_with("differs") if not kinds or d.kind in kinds]

    def differences_with(self, verdict: Verdict) -> list[Difference]:
        return [d for d in self.differences if self.tolerance.judge_difference(d) == verdict]

    def first_failing_step(self) -> str:
        """Return the path of the step where the files start to differ; empty if no step can be named.

        If values of the forward pass differ, it is the first such step in graph order, or an earlier one
        whose difference is within the tolerance but much larger than rounding. If only gradients differ, it
        is the last such step, because gradients flow backward.
        """
        order = {path: position for position, path in enumerate(self.steps)}

        def failing_steps(*kinds: str) -> list[str]:
            """Return steps that differ themselves, or through one of their weights (`conv1.kernel`)."""
            paths = [d.path for d in self.failing_differences(*kinds)]
            steps = [path if path in order else path.rpartition(".")[0] for path in paths]
            return [step for step in steps if step in order]

        if forward := failing_steps(*FORWARD):
            suspects = [
                d.path
                for d in self.differences_with("close")
                if d.kind == "step" and d.path in order and d.is_beyond_rounding
            ]
            return min([*forward, *suspects], key=order.__getitem__)
        if gradients := failing_steps(*GRADIENTS):
            return max(gradients, key=order.__getitem__)
        if statistics := failing_steps("statistic"):
            return min(statistics, key=order.__getitem__)
        return max(failing_steps(), key=order.__getitem__, default="")

    def first_nan_step(self) -> Difference | None:
        """Return the first step in graph order that gives NaN in a file."""
        nan_steps = {d.path: d for d in self.differences if d.kind == "step" and "NaN" in d.problem}
        return next((nan_steps[path] for path in self.steps if path in nan_steps), None)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        name = max(self.relative_by_key, key=lambda k: self.relative_by_key[k], default="-")
        return f"{self.name}: {self.worst_relative:.1e} at {name} ({len(self.relative_by_key)} tensors)"


class WorkerLane:
    """One process per participant. The others run a case while the reference runs the next one."""

    def __init__(self, options: WorkerOptions, lineup: Lineup):
        self.options, self.lineup = options, lineup
        self.reference = WorkerProcess(options, lineup.reference.runtime)
        self.others = {p.key: WorkerProcess(options, p.runtime) for p in lineup.others}

    @property
    def processes(self) -> tuple[WorkerProcess, ...]:
        return (self.reference, *self.others.values())

    def run_cases(self, cases: Iterable[ParityCase], on_report: Callable[[ParityReport], None]) -> None:
        """Run every case on every runtime, and call `on_report` with each result as soon as it is there.

        At an exception, such as one of a signal, the processes are killed and the temporary folder is removed.
        """
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
        with tempfile.TemporaryDirectory(prefix="specbuild-parity-") as folder:
            thread.start()
            try:
                for number, case in enumerate(cases):
                    if errors:
                        break
                    exchange = CaseExchange(case, Path(folder) / str(number), self.lineup)
                    self.run_reference(exchange, tasks, on_report)
            except BaseException as error:  # raised again below
                errors.append(error)
                self.close()
            tasks.put(None)
            thread.join()
        for process in self.processes:
            process.stop_process()
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Kill all processes, whatever they do; no others are started."""
        for process in self.processes:
            process.close()

    def run_reference(
        self, exchange: CaseExchange, tasks: queue.Queue[Any], on_report: Callable[[ParityReport], None]
    ) -> None:
        """Run the file of the reference, and queue the others."""
        participant = self.lineup.reference
        try:
            if exchange.needs_calibration:
                calibration = exchange.write_job(participant, "_calibration", dtype="float64", calibrate=True)
                self.reference.run_job(calibration)
                exchange.load_calibrated(calibration)
            job = exchange.write_job(participant)
            self.reference.run_job(job)
            reference = Float64Reference(exchange, self.reference, job)
        except WorkerFailure as failure:
            for other in self.lineup.others:
                on_report(self.new_report(exchange, other, f"{participant.title}: {failure}"))
            shutil.rmtree(exchange.folder)
            return
        tasks.put(lambda: self.run_others(exchange, reference, on_report))

    def run_others(
        self, exchange: CaseExchange, reference: Float64Reference, on_report: Callable[[ParityReport], None]
    ) -> None:
        """Run the files of the others, and compare each with the reference."""
        for other in self.lineup.others:
            job = exchange.write_job(other)
            try:
                self.others[other.key].run_job(job)
            except WorkerFailure as failure:
                on_report(self.new_report(exchange, other, f"{other.title}: {failure}"))
                continue
            try:
                report = self.judge_results(exchange, other, reference, job)
            except WorkerFailure as failure:
                report = self.new_report(exchange, other, f"while rounding errors were measured: {failure}")
            on_report(report)
        shutil.rmtree(exchange.folder)

    def new_report(self, exchange: CaseExchange, other: Participant, error: str = "") -> ParityReport:
        case = exchange.case
        return ParityReport(
            name=case.name,
            error=error,
            participants=(self.lineup.reference.key, other.key),
            titles=(self.lineup.reference.title, other.title),
            tolerance=choose_case_tolerance(case, (self.lineup.reference, other), self.options.tf32),
            steps=exchange.steps,
            seed=case.seed,
        )

    def judge_results(
        self, exchange: CaseExchange, other: Participant, reference: Float64Reference, job: dict[str, Any]
    ) -> ParityReport:
        """Compare the results of a job with the reference; raises WorkerFailure if a further run fails."""
        report = self.new_report(exchange, other)
        pairs = exchange.pair_tensors(reference.case_job, job)
        report.differences = [measure_difference(*pair, titles=report.titles) for pair in pairs]
        fill_relative(report.differences, exchange.case.dtype)
        if not report.tolerance.excludes_rounding:
            process = self.others[other.key]
            reference.measure_errors(report.differences, job, (other, process), report.tolerance)
        if exchange.case.steps:
            report.unrecorded_steps = exchange.unrecorded_steps(reference.case_job, job)
        for d in report.differences:
            if d.kind in ("output", "trained_output") and "NaN" in d.problem:
                report.error = f"output `{d.path}`: {d.problem}"
                break
        return report


def compare_cases(
    cases: list[ParityCase], timeout: float = 2400, runtimes: Sequence[str] = ()
) -> list[ParityReport]:
    """Compare the built-in backends in one process each, and return the reports in the order of the cases.

    `runtimes` chooses a runtime for each backend; see `select_lineup`.
    """
    reports: dict[str, ParityReport] = {}
    WorkerLane(WorkerOptions(timeout=timeout), select_lineup(runtimes)).run_cases(
        cases, lambda report: reports.update({report.name: report})
    )
    return [reports[case.name] for case in cases]

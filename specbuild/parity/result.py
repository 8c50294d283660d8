"""The result of one spec on one runtime, over all seeds: the worst difference of each tensor, the verdict, the error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from specbuild.compiler.output_files import content_hash
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block
from specbuild.parity.case import ParityCase
from specbuild.parity.compare import ParityReport
from specbuild.parity.difference import FORWARD, KIND_TITLES, Difference
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict
from specbuild.parity.trace import TracedStep
from specbuild.runtimes.jobs import WorkerOptions


class ParityResult:
    """The result of one spec on one runtime: for each tensor, the worst of all seeds."""

    def __init__(self, spec: str, case: ParityCase, reports: Sequence[ParityReport], options: WorkerOptions):
        self.spec, self.case, self.options = spec, case, options
        self.reports = list(reports)
        self.worst_report: ParityReport = max(
            self.reports, key=lambda r: (not r.is_equal, bool(r.error), r.worst_relative)
        )
        self.differences: dict[str, Difference] = {}
        for report in self.reports:
            for d in report.differences:
                worst = self.differences.setdefault(d.key, d)
                if self.rank_difference(d) > self.rank_difference(worst):
                    self.differences[d.key] = d

    @property
    def model(self) -> Block:
        return self.case.model

    @property
    def file_digests(self) -> dict[str, str]:
        """The hashes of the emitted files by backend; empty for a block that is run without its file."""
        sources = self.case.sources if self.case.digest else {}
        return {name: content_hash(source) for name, source in sources.items()}

    @property
    def runtime(self) -> str:
        return self.worst_report.runtime

    @property
    def title(self) -> str:
        """What is compared with the reference, such as "Keras on TensorFlow"."""
        return self.worst_report.titles[1]

    @property
    def short_titles(self) -> tuple[str, str]:
        """The titles of both participants without engines, such as "PyTorch" and "Keras"."""
        reference, other = (title.partition(" on ")[0] for title in self.worst_report.titles)
        return reference, other

    @property
    def tolerance(self) -> Tolerance:
        return self.worst_report.tolerance

    @property
    def steps(self) -> dict[str, TracedStep]:
        return self.worst_report.steps

    @property
    def verdict(self) -> str:
        if self.worst_report.error:
            return "failed"
        return self.combine_verdicts(self.differences.values())

    def combine_verdicts(self, differences: Iterable[Difference]) -> Verdict:
        """Return the worst verdict of some tensors."""
        return max(map(self.tolerance.judge_difference, differences), key=VERDICTS.index, default="equal")

    def rank_difference(self, d: Difference) -> tuple[int, float]:
        """Return a sort key: first by verdict, then by relative difference."""
        return VERDICTS.index(self.tolerance.judge_difference(d)), d.relative

    @property
    def rounded_differences(self) -> list[Difference]:
        """The tensors with verdict `rounded`, the largest difference first."""
        rounded = [d for d in self.differences.values() if self.tolerance.judge_difference(d) == "rounded"]
        return sorted(rounded, key=lambda d: -d.relative)

    @property
    def has_rounding(self) -> bool:
        """Whether both files compute in a dtype smaller than float64."""
        return self.case.dtype != "float64"

    def parity_error(self) -> SpecError | None:
        """Return the error to report, at the step where the files start to differ.

        None if all tensors agree.
        """
        report = self.worst_report
        if report.error:
            return self.run_error(report)
        failing = report.failing_differences()
        if not failing:
            return None
        worst = max(failing, key=lambda d: d.relative)
        summary = self.describe_worst(worst)
        hint = self.describe_tolerance(worst)
        first = report.first_failing_step()
        if first in self.steps:
            step = self.steps[first]
            place = "the first step that differs"
            if not report.failing_differences(*FORWARD):
                place = "all steps agree; the step where gradients or the training step start to differ"
            message = f"{place} in {self.title} is {first} ({step.op_name})"
            message += f"; the largest difference is in {summary}"
            return step.spec_location.error("SB901", message, hint)
        output_step = self.output_step(worst)
        if output_step in self.steps:
            message = (
                f"all steps agree when they are run one by one, but in the whole model {output_step} gives "
                f"another value in {self.title} ({summary})"
            )
            return self.steps[output_step].spec_location.error("SB901", message, hint)
        model = self.model
        at = model.at.child("inputs", worst.path) if worst.path in model.inputs else model.at
        return at.error("SB901", f"{self.title} differs ({summary})", hint)

    def run_error(self, report: ParityReport) -> SpecError:
        """Return the error of a file that could not be run (SB902), or whose output is NaN (SB903)."""
        nan_step = report.first_nan_step()
        if nan_step is None:
            return SpecError("SB902", f"{self.spec}: {report.error}")
        message = f"{report.error}; the first step that gives NaN is {nan_step.path}"
        return self.steps[nan_step.path].spec_location.error("SB903", message)

    def describe_worst(self, worst: Difference) -> str:
        """For example `outputs: logits: 1.0e-03 of its size, with seed 3`."""
        difference = worst.problem or f"{format_number(worst.relative)} of its size"
        seed = f", with seed {self.worst_report.seed}" if len(self.reports) > 1 else ""
        return f"{KIND_TITLES[worst.kind]}: {worst.path}: {difference}{seed}"

    def describe_tolerance(self, worst: Difference) -> str:
        """Return the tolerance, and how far each file is from the reference in float64 if that was measured."""
        text = f"the tolerance is {format_number(self.tolerance.fail_above)} ({self.tolerance.reason})"
        if self.tolerance.excludes_rounding or None in (worst.reference_error, worst.other_error):
            return text
        reference, other = self.short_titles
        reference_error, other_error = format_reference_errors(worst)
        text += f"; relative to {reference} in float64, the error of {reference} is {reference_error}"
        return f"{text}, that of {other} {other_error}"

    def output_step(self, d: Difference) -> str:
        """Return the step that computes an output; empty if the tensor is no output."""
        refs = {(name or "output"): output.ref for name, output in self.model.outputs.items()}
        return str(refs[d.path]) if d.kind == "output" and d.path in refs else ""


def format_number(x: float) -> str:
    """Return two digits; `0` for zero, `no number` for infinity and NaN."""
    return "0" if x == 0 else f"{x:.1e}" if isfinite(x) else "no number"


def format_reference_errors(d: Difference) -> tuple[str, str]:
    """Return the errors of the reference and of the other relative to float64; empty where not measured."""
    errors = (d.reference_error, d.other_error)
    reference, other = ("" if error is None else format_number(error) for error in errors)
    return reference, other

"""Format the results as tables of text and as JSON: one result for each spec and runtime, over all seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from specbuild.compiler.output_files import content_hash
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops.base import Op
from specbuild.parity.case import ParityCase
from specbuild.parity.compare import ParityReport
from specbuild.parity.difference import (
    FORWARD,
    GRADIENTS,
    KIND_TITLES,
    ZERO_SHARE,
    Difference,
    statistics_uses,
)
from specbuild.parity.tolerance import FEW_VALUES, VERDICTS, Tolerance, Verdict, scarce_statistics
from specbuild.parity.trace import TracedStep
from specbuild.runtimes.jobs import WorkerOptions

MAX_NOTES = 5  # rounded tensors that get a note each


@dataclass(frozen=True)
class TextTable:
    """Headings and rows of cells; `numbers` are the indices of right-aligned columns."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[int, ...]

    def format_text(self) -> str:
        table = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(self.align_cells(row, widths)).rstrip() for row in table]
        lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
        return "\n".join(lines) + "\n"

    def align_cells(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        pairs = enumerate(zip(row, widths, strict=True))
        return [cell.rjust(w) if i in self.numbers else cell.ljust(w) for i, (cell, w) in pairs]

    def format_markdown(self) -> str:
        marks = ["---:" if i in self.numbers else "---" for i in range(len(self.headings))]
        lines = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, marks, *self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


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

    # ------------------------------------------------------------------------------------------------- tables

    def kind_table(self) -> TextTable:
        """Return one row for each kind of tensor."""
        rows = []
        for kind, title in KIND_TITLES.items():
            differences = [d for d in self.differences.values() if d.kind == kind]
            if differences:
                worst = max(differences, key=self.rank_difference)
                absolute = format_number(max(d.absolute for d in differences))
                errors = format_reference_errors(worst) if self.has_rounding else ()
                verdict = self.combine_verdicts(differences)
                cells = (title, str(len(differences)), absolute, format_number(worst.relative))
                rows.append((*cells, *errors, verdict, make_printable(worst.path, 60)))
        error_headings = [f"{title} error" for title in self.short_titles] if self.has_rounding else []
        headings = ("what", "tensors", "largest |a - b|", "relative", *error_headings, "verdict", "worst")
        return TextTable(headings, rows, tuple(range(1, 4 + len(error_headings))))

    @property
    def has_rounding(self) -> bool:
        """Whether both files compute in a dtype smaller than float64."""
        return self.case.dtype != "float64"

    def step_table(self, depth: int) -> TextTable:
        """Return one row for each named step up to `depth` blocks deep.

        It includes all steps inside that step.
        """
        by_step: dict[str, list[Difference]] = {path: [] for path in self.steps}
        for d in self.differences.values():
            path = d.path if d.path in by_step else d.path.rpartition(".")[0]
            if path in by_step:
                by_step[path].append(d)
        rows = []
        for path, step in self.steps.items():
            if not step.is_named or self.nesting_level(path) >= depth:
                continue
            inside = [d for p, ds in by_step.items() if p == path or p.startswith(f"{path}.") for d in ds]
            own = self.differences.get(f"step:{path}")
            forward = (format_number(own.absolute), format_number(own.relative)) if own else ("", "")
            others = [d.relative for d in inside if d.kind != "step"]
            verdict = self.combine_verdicts(inside) if inside else "not recorded"
            cells = (make_printable(path, 60), step.op_name, make_printable(str(step.type), 48))
            rows.append((*cells, *forward, format_number(max(others)) if others else "", verdict))
        headings = ("step", "op or block", "output", "largest |a - b|", "relative", "its weights", "verdict")
        return TextTable(headings, rows, (3, 4, 5))

    def nesting_level(self, path: str) -> int:
        """Return the number of blocks around a step."""
        return sum(path.startswith(f"{p}.") for p, s in self.steps.items() if isinstance(s.node.op, Block))

    def format_notes(self) -> Iterator[str]:
        """Yield explanations that are needed to read the numbers."""
        case, (reference, other) = self.case, self.short_titles
        yield f"tolerance {format_number(self.tolerance.fail_above)}: {self.tolerance.reason}"
        if self.tolerance.warn_above < self.tolerance.fail_above:
            yield f"differences above {format_number(self.tolerance.warn_above)} are reported as close"
        if self.has_rounding:
            yield (
                f"{reference} error, {other} error: relative difference from the {reference} file in "
                "float64, with the same weights and inputs"
            )
        yield from self.rounding_notes()
        if set(case.modes) - {"forward"}:
            share = ZERO_SHARE[case.dtype]
            scale = "the largest of all" if share == 1 else f"at least {share:g} of the largest"
            yield (
                f"gradients, and weights after a step: differences are divided by {scale}, because a much "
                "smaller gradient may be zero except for rounding"
            )
        if "train" in case.modes:
            yield from self.training_notes()
        if unrecorded := self.worst_report.unrecorded_steps:
            yield f"part of another step in one of the files, so not recorded: {', '.join(unrecorded)}"

    def training_notes(self) -> Iterator[str]:
        """Yield what is compared in the training step."""
        yield "training: one step of gradient descent; weights and statistics are compared after it"
        ops = [node.op for _, node, _ in walk_ops(self.model)]
        if any(isinstance(op, Op) and op.dropout_rate() is not None for op in ops):
            yield (
                "dropout and drop-path: their rates are compared, then set to 0 in both files for the "
                "training step"
            )
        uses = statistics_uses(self.model, self.case.batch)
        if uses:
            yield (
                "running variance: some frameworks divide by n - 1, others by n; the share of the batch is "
                "multiplied by (n - 1) / n where necessary"
            )
        if scarce := scarce_statistics(self.model, self.case.batch):
            yield (
                f"statistics of {FEW_VALUES} values, which amplify rounding, so that training may be `rounded` (a larger "
                f"--batch avoids it): {', '.join(scarce)}"
            )
        if reused := [path for path, (_, counts) in uses.items() if len(counts) > 1]:
            yield (
                "statistics left out, because the step is used several times and they depend on the order: "
                f"{', '.join(reused)}"
            )

    def rounding_notes(self) -> Iterator[str]:
        """Yield what the verdict `rounded` means, and the numbers of the tensors that have it."""
        rounded = self.rounded_differences
        if not rounded:
            return
        reference, other = self.short_titles
        dtype: str = self.case.dtype
        if not self.has_rounding and self.tolerance.perturbs_other:
            dtype = f"float64, with float32 inside {other},"
        yield (
            f"rounded: {len(rounded)} of {len(self.differences)} tensors, where {dtype} is too coarse to "
            "compare the files: rounding moves a number across the corner of a ReLU, or exchanges two in a "
            "max pooling, or a norm sees few numbers in training. float64 decides, on a runtime that does not "
            "round it"
        )
        yield (
            f"a tensor is rounded if one of these is large enough: the error of {reference}; the change of "
            f"{reference} in float64 when weights and inputs change by "
            f"{format_number(self.tolerance.perturbation)}"
            + (
                f"; the change of {other} when they change in their last digit"
                * self.tolerance.perturbs_other
            )
        )
        for d in rounded[:MAX_NOTES]:
            errors = format_reference_errors(d)
            text = f"difference {format_number(d.relative)}, {reference} error {errors[0]}"
            text += f", {other} error {errors[1]}"
            text += f"; float64 changes by {format_number(d.sensitivity)}" if d.sensitivity else ""
            text += (
                f"; {other} changes by {format_number(d.other_sensitivity)}" if d.other_sensitivity else ""
            )
            yield f"rounded: {KIND_TITLES[d.kind]}: {make_printable(d.path, 60)}: {text}"
        if len(rounded) > MAX_NOTES:
            yield f"rounded: {len(rounded) - MAX_NOTES} more, in --json"

    def to_json(self) -> dict[str, Any]:
        """Return the whole result as a JSON object."""
        return {
            "spec": make_printable(self.spec, 4096),
            "model": self.model.name,
            "digest": self.case.digest,
            "files": self.file_digests,
            "backends": [backend for backend, _ in self.worst_report.participants],
            "runtime": self.runtime,
            "dtype": self.case.dtype,
            "device": self.options.device,
            "tf32": self.options.tf32,
            "modes": list(self.case.modes),
            "batch": self.case.batch,
            "seed": min(report.seed for report in self.reports),
            "seeds": len(self.reports),
            "verdict": self.verdict,
            "rounded": len(self.rounded_differences),
            "worst": finite_or_none(max((d.relative for d in self.differences.values()), default=0.0)),
            "tolerance": {
                "fail_above": self.tolerance.fail_above,
                "warn_above": self.tolerance.warn_above,
                "reason": self.tolerance.reason,
            },
            "error": self.error_record(),
            "notes": list(self.format_notes()),
            "tensors": [self.tensor_record(d) for d in self.differences.values()],
        }

    def error_record(self) -> dict[str, Any] | None:
        """Return the error of the result as a JSON object."""
        error = self.parity_error()
        if error is None:
            return None
        location = error.location
        return {
            "code": error.code,
            "message": error.message,
            "seed": self.worst_report.seed,
            "step": self.worst_report.first_failing_step() or None,
            "file": location.file if location else None,
            "line": location.line if location else None,
            "column": location.column if location else None,
        }

    def tensor_record(self, d: Difference) -> dict[str, Any]:
        """Return one tensor's difference as a JSON object; numbers that are not finite become null."""
        return {
            "kind": d.kind,
            "path": d.path,
            "absolute": finite_or_none(d.absolute),
            "relative": finite_or_none(d.relative),
            "reference_error": None if d.reference_error is None else finite_or_none(d.reference_error),
            "other_error": None if d.other_error is None else finite_or_none(d.other_error),
            "reference_sensitivity": finite_or_none(d.sensitivity),
            "other_sensitivity": finite_or_none(d.other_sensitivity),
            "standard_deviation": finite_or_none(d.deviation),
            "verdict": self.tolerance.judge_difference(d),
        }


def format_number(x: float) -> str:
    """Return two digits; `0` for zero, `no number` for infinity and NaN."""
    return "0" if x == 0 else f"{x:.1e}" if isfinite(x) else "no number"


def format_reference_errors(d: Difference) -> tuple[str, str]:
    """Return the errors of the reference and of the other relative to float64; empty where not measured."""
    errors = (d.reference_error, d.other_error)
    reference, other = ("" if error is None else format_number(error) for error in errors)
    return reference, other


def finite_or_none(x: float) -> float | None:
    return x if isfinite(x) else None


def summary_table(results: Iterable[ParityResult]) -> TextTable:
    """Return one row for each spec and runtime."""
    training = tuple(k for k in KIND_TITLES if k.startswith(("trained", "statistic")) or k == "weight")
    rows = []
    for r in results:
        worst = [
            max((d.relative for d in r.differences.values() if d.kind in kinds), default=None)
            for kinds in (("output", "step"), GRADIENTS, training)
        ]
        rows.append(
            (
                *(make_printable(r.spec, 60), r.title, r.case.dtype),
                *("" if relative is None else format_number(relative) for relative in worst),
                *(format_number(r.tolerance.fail_above), str(len(r.rounded_differences)), r.verdict),
            )
        )
    headings = (
        *("spec", "runtime", "dtype", "forward", "gradients", "training"),
        *("tolerance", "rounded", "verdict"),
    )
    return TextTable(headings, rows, (3, 4, 5, 6, 7))

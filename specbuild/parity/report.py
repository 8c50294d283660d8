"""What came out, as data and as tables of text: one result for each spec and runtime, over all seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from specbuild.compiler import output_files as output
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.parity.compare import ParityReport
from specbuild.parity.difference import FORWARD, KIND_TITLES, ZERO_SHARE, Difference, batch_norm_uses
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict
from specbuild.parity.trace import TracedStep
from specbuild.runtimes.jobs import ParityCase, Runtime, WorkerOptions

MAX_NOTES = 5  # tensors that a note tells of


@dataclass(frozen=True)
class TextTable:
    """Headings, and rows of cells; `numbers` are the columns set to the right."""

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
    """One spec on one runtime of Keras: the worst of all seeds."""

    def __init__(self, spec: str, case: ParityCase, reports: Sequence[ParityReport], options: WorkerOptions):
        self.spec, self.case, self.options = spec, case, options
        self.reports = list(reports)
        self.worst_report: ParityReport = max(
            self.reports, key=lambda r: (not r.is_equal, bool(r.error), r.worst_relative)
        )
        self.differences: dict[str, Difference] = {}
        for report in self.reports:
            for d in report.differences:
                if d.key not in self.differences or self.rank_difference(d) > self.rank_difference(
                    self.differences[d.key]
                ):
                    self.differences[d.key] = d

    @property
    def model(self) -> Block:
        return self.case.model

    @property
    def file_digests(self) -> dict[str, str]:
        """The hashes of a spec's emitted files, by backend."""
        sources = self.case.sources if self.case.digest else {}
        return {name: output.content_hash(source) for name, source in sources.items()}

    @property
    def runtime(self) -> Runtime:
        return self.worst_report.runtime

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

    def combine_verdicts(self, found: Iterable[Difference]) -> Verdict:
        """The worst of them."""
        return max(map(self.tolerance.judge_difference, found), key=VERDICTS.index, default="equal")

    def rank_difference(self, d: Difference) -> tuple[int, float]:
        """The verdict counts first, then the difference."""
        return VERDICTS.index(self.tolerance.judge_difference(d)), d.relative

    @property
    def rounded_differences(self) -> list[Difference]:
        """What the type cannot tell, the largest first."""
        found = [d for d in self.differences.values() if self.tolerance.judge_difference(d) == "rounded"]
        return sorted(found, key=lambda d: -d.relative)

    def parity_error(self) -> SpecError | None:
        """What is wrong, at the step where the files part."""
        report = self.worst_report
        if report.error:
            found = report.first_nan_step()
            if found is None:
                return SpecError("SB902", f"{self.spec}: {report.error}")
            message = f"{report.error}; the first step that does is {found.path}"
            return self.steps[found.path].spec_location.error("SB903", message)
        failing = report.failing_differences()
        if not failing:
            return None
        worst = max(failing, key=lambda d: d.relative)
        by = worst.problem or f"{format_number(worst.relative)} of its size"
        said = f"{KIND_TITLES[worst.kind]}: {worst.path}: {by}"
        if len(self.reports) > 1:
            said += f", with seed {report.seed}"
        hint = f"allowed is {format_number(self.tolerance.fail_above)} ({self.tolerance.reason})"
        if (
            not self.tolerance.excludes_rounding
            and worst.torch_error is not None
            and worst.keras_error is not None
        ):
            hint += f"; from PyTorch in float64, PyTorch is {format_number(worst.torch_error)} and Keras {format_number(worst.keras_error)}"
        first = report.first_failing_step()
        if first not in self.steps:
            made = self.output_step(worst)
            if made in self.steps:
                message = f"steps agree, each run by itself, but what {made} gives in the model differs in Keras on {self.runtime} ({said})"
                return self.steps[made].spec_location.error("SB901", message, hint)
            inputs = self.model.inputs
            at = self.model.at.child("inputs", worst.path) if worst.path in inputs else self.model.at
            return at.error("SB901", f"Keras on {self.runtime} differs ({said})", hint)
        step = self.steps[first]
        where = "the first step that differs"
        if not report.failing_differences(*FORWARD):
            where = "all steps agree; the step where gradients or a training step part"
        message = f"{where} in Keras on {self.runtime} is {first} ({step.op_name}); most apart are {said}"
        return step.spec_location.error("SB901", message, hint)

    def output_step(self, d: Difference) -> str:
        """The step that gives an output."""
        found = {(name or "output"): output.ref for name, output in self.model.outputs.items()}
        return str(found[d.path]) if d.kind == "output" and d.path in found else ""

    # ------------------------------------------------------------------------------------------------ tables

    def kind_table(self) -> TextTable:
        """A line for each kind of tensor."""
        rows = []
        for kind, title in KIND_TITLES.items():
            found = [d for d in self.differences.values() if d.kind == kind]
            if found:
                worst = max(found, key=self.rank_difference)
                cells = (
                    title,
                    str(len(found)),
                    format_number(max(d.absolute for d in found)),
                    format_number(worst.relative),
                )
                errors = format_errors(worst) if self.has_rounding else ()
                rows.append((*cells, *errors, self.combine_verdicts(found), make_printable(worst.path, 60)))
        errors = ("PyTorch off", "Keras off") if self.has_rounding else ()
        headings = ("what", "tensors", "largest |a - b|", "relative", *errors, "verdict", "worst")
        return TextTable(headings, rows, tuple(range(1, 4 + len(errors))))

    @property
    def has_rounding(self) -> bool:
        """Whether each file is some way from float64."""
        return self.case.dtype != "float64"

    def step_table(self, depth: int) -> TextTable:
        """A line for each step that has a name, `depth` blocks deep, with the worst of all that is in it."""
        held: dict[str, list[Difference]] = {path: [] for path in self.steps}
        for d in self.differences.values():
            path = d.path if d.path in held else d.path.rpartition(".")[0]
            if path in held:
                held[path].append(d)
        rows = []
        for path, step in self.steps.items():
            if not step.is_named or self.nesting_level(path) >= depth:
                continue
            inside = [d for p, ds in held.items() if p == path or p.startswith(f"{path}.") for d in ds]
            own = self.differences.get(f"step:{path}")
            forward = (format_number(own.absolute), format_number(own.relative)) if own else ("", "")
            others = [d.relative for d in inside if d.kind != "step"]
            verdict = self.combine_verdicts(inside) if inside else "not seen"
            cells = (make_printable(path, 60), step.op_name, make_printable(str(step.type), 48))
            rows.append((*cells, *forward, format_number(max(others)) if others else "", verdict))
        headings = ("step", "op or block", "output", "largest |a - b|", "relative", "its weights", "verdict")
        return TextTable(headings, rows, (3, 4, 5))

    def nesting_level(self, path: str) -> int:
        """How many blocks a step stands in."""
        return sum(path.startswith(f"{p}.") for p, s in self.steps.items() if isinstance(s.node.op, Block))

    def format_notes(self) -> Iterator[str]:
        """What must be known to read the numbers."""
        case, model = self.case, self.model
        yield f"tolerance {format_number(self.tolerance.fail_above)}: {self.tolerance.reason}"
        if self.tolerance.warn_above < self.tolerance.fail_above:
            yield f"above {format_number(self.tolerance.warn_above)} a difference is told as close"
        if self.has_rounding:
            yield "PyTorch off, Keras off: how far each is from PyTorch in float64 on the same numbers"
        yield from self.rounding_notes()
        if set(case.modes) - {"forward"}:
            share = ZERO_SHARE[case.dtype]
            by = "the largest of all" if share == 1 else f"at least {share:g} of the largest"
            yield f"gradients, and weights after a step, are measured by {by}: what is much smaller may be zero but for rounding"
        nodes = [node for _, node, _ in walk_ops(model)]
        if "train" in case.modes:
            yield "training: one step of gradient descent; weights and statistics are compared after it"
            if any(isinstance(node.op, Dropout | DropPath) for node in nodes):
                yield "dropout and drop-path: their rates are compared, then set to 0 in both files for the training step"
            used = batch_norm_uses(model, case.batch)
            if used:
                yield "running variance: PyTorch divides by n - 1 and Keras by n; PyTorch's share of the batch is multiplied by (n - 1) / n"
            if again := [path for path, (_, counts) in used.items() if len(counts) > 1]:
                yield f"used several times in a step, so that its statistics hang on the order: {', '.join(again)} (left out)"
        if lacking := self.worst_report.unrecorded_steps:
            yield f"written into another step by one of the backends, so not seen: {', '.join(lacking)}"

    def rounding_notes(self) -> Iterator[str]:
        """What `rounded` is, and which numbers stand behind it."""
        found = self.rounded_differences
        if not found:
            return
        inside = "" if self.has_rounding else ", rounded to float32 inside,"
        yield (
            f"rounded: {len(found)} of {len(self.differences)} tensors, which {self.case.dtype}{inside} does not tell apart: a number beside the "
            "corner of a ReLU, or two in a max pooling, fall on the other side, or a norm has few numbers in training. float64 decides, "
            "on TensorFlow"
        )
        yield (
            "rounded is told where PyTorch is as far from its own numbers in float64, or those move as far when weights and inputs "
            f"move by {format_number(self.tolerance.perturbation)}, or Keras' when these move in their last digit"
        )
        for d in found[:MAX_NOTES]:
            apart, moved = format_number(d.relative), format_number(d.sensitivity)
            torch, keras = format_errors(d)
            told = f"; float64 moves by {moved}" if d.sensitivity else ""
            told += f"; Keras moves by {format_number(d.keras_sensitivity)}" if d.keras_sensitivity else ""
            yield f"rounded: {KIND_TITLES[d.kind]}: {make_printable(d.path, 60)}: apart {apart}, PyTorch off {torch}, Keras off {keras}{told}"
        if len(found) > MAX_NOTES:
            yield f"rounded: {len(found) - MAX_NOTES} more, in --json"

    def to_json(self) -> dict[str, Any]:
        """All of it, for JSON."""
        fault = self.parity_error()
        place = fault.location if fault else None
        return {
            "spec": make_printable(self.spec, 4096),
            "model": self.model.kind,
            "digest": self.case.digest,
            "files": self.file_digests,
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
                "fails": self.tolerance.fail_above,
                "warns": self.tolerance.warn_above,
                "why": self.tolerance.reason,
            },
            "fault": None
            if fault is None
            else {
                "code": fault.code,
                "message": fault.message,
                "seed": self.worst_report.seed,
                "step": self.worst_report.first_failing_step() or None,
                "file": place.file if place else None,
                "line": place.line if place else None,
                "column": place.column if place else None,
            },
            "notes": list(self.format_notes()),
            "tensors": [
                {
                    "kind": d.kind,
                    "path": d.path,
                    "absolute": finite_or_none(d.absolute),
                    "relative": finite_or_none(d.relative),
                    "torch_error": None if d.torch_error is None else finite_or_none(d.torch_error),
                    "keras_error": None if d.keras_error is None else finite_or_none(d.keras_error),
                    "moved": finite_or_none(d.sensitivity),
                    "keras_moved": finite_or_none(d.keras_sensitivity),
                    "spread": finite_or_none(d.deviation),
                    "verdict": self.tolerance.judge_difference(d),
                }
                for d in self.differences.values()
            ],
        }


def format_number(x: float) -> str:
    """Two digits; 0 for none at all."""
    return "0" if x == 0 else f"{x:.1e}" if isfinite(x) else "no number"


def format_errors(d: Difference) -> tuple[str, str]:
    """How far each file is from float64."""
    torch, keras = ("" if x is None else format_number(x) for x in (d.torch_error, d.keras_error))
    return torch, keras


def finite_or_none(x: float) -> float | None:
    return x if isfinite(x) else None


def summary_table(results: Iterable[ParityResult]) -> TextTable:
    """A line for each spec and runtime."""
    rows = []
    for r in results:
        worst = {
            kinds: max((d.relative for d in r.differences.values() if d.kind in kinds), default=None)
            for kinds in (
                ("output", "step"),
                ("gradient", "weight_gradient"),
                tuple(
                    k
                    for k in KIND_TITLES
                    if k.startswith(("trained", "weight", "statistic")) and k != "weight_gradient"
                ),
            )
        }
        cells = ("" if w is None else format_number(w) for w in worst.values())
        rows.append(
            (
                *(make_printable(r.spec, 60), r.runtime, r.case.dtype, *cells),
                *(format_number(r.tolerance.fail_above), str(len(r.rounded_differences)), r.verdict),
            )
        )
    headings = (
        "spec",
        "Keras on",
        "dtype",
        "forward",
        "gradients",
        "training",
        "allowed",
        "rounded",
        "verdict",
    )
    return TextTable(headings, rows, (3, 4, 5, 6, 7))

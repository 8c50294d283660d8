"""What came out, as data and as tables of text: one result for each spec and runtime, over all seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from specbuild.compiler import files as output
from specbuild.diagnostics.errors import SpecError, printable
from specbuild.ir.graph import Block, instances
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.parity.compare import Report
from specbuild.parity.difference import FORWARD, KINDS, NOTHING, Difference, uses
from specbuild.parity.tolerance import VERDICTS, Tolerance, Verdict
from specbuild.parity.trace import Traced
from specbuild.runtimes.jobs import Case, Place, Runtime

SHOWN = 5  # tensors that a note tells of


@dataclass(frozen=True)
class Table:
    """Headings, and rows of cells; `numbers` are the columns set to the right."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[int, ...]

    def text(self) -> str:
        table = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(self.cells(row, widths)).rstrip() for row in table]
        lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
        return "\n".join(lines) + "\n"

    def cells(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        pairs = enumerate(zip(row, widths, strict=True))
        return [cell.rjust(w) if i in self.numbers else cell.ljust(w) for i, (cell, w) in pairs]

    def markdown(self) -> str:
        marks = ["---:" if i in self.numbers else "---" for i in range(len(self.headings))]
        lines = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, marks, *self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


class Result:
    """One spec on one runtime of Keras: the worst of all seeds."""

    def __init__(self, spec: str, case: Case, reports: Sequence[Report], place: Place):
        self.spec, self.case, self.place = spec, case, place
        self.reports = list(reports)
        self.worst_of: Report = max(self.reports, key=lambda r: (not r.equal, bool(r.error), r.worst))
        self.found: dict[str, Difference] = {}
        for report in self.reports:
            for d in report.found:
                if d.key not in self.found or self.rank(d) > self.rank(self.found[d.key]):
                    self.found[d.key] = d

    @property
    def model(self) -> Block:
        return self.case.model

    @property
    def files(self) -> dict[str, str]:
        """The hashes of a spec's emitted files, by backend."""
        sources = self.case.sources if self.case.digest else {}
        return {name: output.content(source) for name, source in sources.items()}

    @property
    def runtime(self) -> Runtime:
        return self.worst_of.runtime

    @property
    def tolerance(self) -> Tolerance:
        return self.worst_of.tolerance

    @property
    def steps(self) -> dict[str, Traced]:
        return self.worst_of.steps

    @property
    def verdict(self) -> str:
        if self.worst_of.error:
            return "failed"
        return self.judged(self.found.values())

    def judged(self, found: Iterable[Difference]) -> Verdict:
        """The worst of them."""
        return max(map(self.tolerance.verdict, found), key=VERDICTS.index, default="equal")

    def rank(self, d: Difference) -> tuple[int, float]:
        """The verdict counts first, then the difference."""
        return VERDICTS.index(self.tolerance.verdict(d)), d.relative

    @property
    def rounded(self) -> list[Difference]:
        """What the type cannot tell, the largest first."""
        found = [d for d in self.found.values() if self.tolerance.verdict(d) == "rounded"]
        return sorted(found, key=lambda d: -d.relative)

    def fault(self) -> SpecError | None:
        """What is wrong, at the step where the files part."""
        report = self.worst_of
        if report.error:
            found = report.numberless()
            if found is None:
                return SpecError("SB902", f"{self.spec}: {report.error}")
            message = f"{report.error}; the first step that does is {found.path}"
            return self.steps[found.path].at.error("SB903", message)
        failing = report.failing()
        if not failing:
            return None
        worst = max(failing, key=lambda d: d.relative)
        by = worst.broken or f"{short(worst.relative)} of its size"
        said = f"{KINDS[worst.kind]}: {worst.path}: {by}"
        if len(self.reports) > 1:
            said += f", with seed {report.seed}"
        hint = f"allowed is {short(self.tolerance.fails)} ({self.tolerance.why})"
        if not self.tolerance.decides and worst.torch_error is not None and worst.keras_error is not None:
            hint += f"; from PyTorch in float64, PyTorch is {short(worst.torch_error)} and Keras {short(worst.keras_error)}"
        first = report.first()
        if first not in self.steps:
            made = self.made_by(worst)
            if made in self.steps:
                message = f"steps agree, each run by itself, but what {made} gives in the model differs in Keras on {self.runtime} ({said})"
                return self.steps[made].at.error("SB901", message, hint)
            inputs = self.model.inputs
            at = self.model.at.child("inputs", worst.path) if worst.path in inputs else self.model.at
            return at.error("SB901", f"Keras on {self.runtime} differs ({said})", hint)
        step = self.steps[first]
        where = "the first step that differs"
        if not report.failing(*FORWARD):
            where = "all steps agree; the step where gradients or a training step part"
        message = f"{where} in Keras on {self.runtime} is {first} ({step.kind}); most apart are {said}"
        return step.at.error("SB901", message, hint)

    def made_by(self, d: Difference) -> str:
        """The step that gives an output."""
        found = {(name or "output"): output.ref for name, output in self.model.outputs.items()}
        return str(found[d.path]) if d.kind == "output" and d.path in found else ""

    # ------------------------------------------------------------------------------------------------ tables

    def kinds(self) -> Table:
        """A line for each kind of tensor."""
        rows = []
        for kind, title in KINDS.items():
            found = [d for d in self.found.values() if d.kind == kind]
            if found:
                worst = max(found, key=self.rank)
                cells = (title, str(len(found)), short(max(d.absolute for d in found)), short(worst.relative))
                errors = errors_of(worst) if self.rounds else ()
                rows.append((*cells, *errors, self.judged(found), printable(worst.path, 60)))
        errors = ("PyTorch off", "Keras off") if self.rounds else ()
        headings = ("what", "tensors", "largest |a - b|", "relative", *errors, "verdict", "worst")
        return Table(headings, rows, tuple(range(1, 4 + len(errors))))

    @property
    def rounds(self) -> bool:
        """Whether each file is some way from float64."""
        return self.case.dtype != "float64"

    def named(self, depth: int) -> Table:
        """A line for each step that has a name, `depth` blocks deep, with the worst of all that is in it."""
        held: dict[str, list[Difference]] = {path: [] for path in self.steps}
        for d in self.found.values():
            path = d.path if d.path in held else d.path.rpartition(".")[0]
            if path in held:
                held[path].append(d)
        rows = []
        for path, step in self.steps.items():
            if not step.named or self.level(path) >= depth:
                continue
            inside = [d for p, ds in held.items() if p == path or p.startswith(f"{path}.") for d in ds]
            own = self.found.get(f"step:{path}")
            forward = (short(own.absolute), short(own.relative)) if own else ("", "")
            others = [d.relative for d in inside if d.kind != "step"]
            verdict = self.judged(inside) if inside else "not seen"
            cells = (printable(path, 60), step.kind, printable(str(step.type), 48))
            rows.append((*cells, *forward, short(max(others)) if others else "", verdict))
        headings = ("step", "op or block", "output", "largest |a - b|", "relative", "its weights", "verdict")
        return Table(headings, rows, (3, 4, 5))

    def level(self, path: str) -> int:
        """How many blocks a step stands in."""
        return sum(path.startswith(f"{p}.") for p, s in self.steps.items() if isinstance(s.node.op, Block))

    def notes(self) -> Iterator[str]:
        """What must be known to read the numbers."""
        case, model = self.case, self.model
        yield f"tolerance {short(self.tolerance.fails)}: {self.tolerance.why}"
        if self.tolerance.warns < self.tolerance.fails:
            yield f"above {short(self.tolerance.warns)} a difference is told as close"
        if self.rounds:
            yield "PyTorch off, Keras off: how far each is from PyTorch in float64 on the same numbers"
        yield from self.explained()
        if set(case.modes) - {"forward"}:
            share = NOTHING[case.dtype]
            by = "the largest of all" if share == 1 else f"at least {share:g} of the largest"
            yield f"gradients, and weights after a step, are measured by {by}: what is much smaller may be zero but for rounding"
        nodes = [node for _, node, _ in instances(model)]
        if "train" in case.modes:
            yield "training: one step of gradient descent; weights and statistics are compared after it"
            if any(isinstance(node.op, Dropout | DropPath) for node in nodes):
                yield "dropout and drop-path: their rates are compared, then set to 0 in both files for the training step"
            used = uses(model, case.batch)
            if used:
                yield "running variance: PyTorch divides by n - 1 and Keras by n; PyTorch's share of the batch is multiplied by (n - 1) / n"
            if again := [path for path, (_, counts) in used.items() if len(counts) > 1]:
                yield f"used several times in a step, so that its statistics hang on the order: {', '.join(again)} (left out)"
        if lacking := self.worst_of.lacking:
            yield f"written into another step by one of the backends, so not seen: {', '.join(lacking)}"

    def explained(self) -> Iterator[str]:
        """What `rounded` is, and which numbers stand behind it."""
        found = self.rounded
        if not found:
            return
        inside = "" if self.rounds else ", rounded to float32 inside,"
        yield (
            f"rounded: {len(found)} of {len(self.found)} tensors, which {self.case.dtype}{inside} does not tell apart: a number beside the "
            "corner of a ReLU, or two in a max pooling, fall on the other side, or a norm has few numbers in training. float64 decides, "
            "on TensorFlow"
        )
        yield (
            "rounded is told where PyTorch is as far from its own numbers in float64, or those move as far when weights and inputs "
            f"move by {short(self.tolerance.shake)}, or Keras' when these move in their last digit"
        )
        for d in found[:SHOWN]:
            apart, moved = short(d.relative), short(d.moved)
            torch, keras = errors_of(d)
            told = f"; float64 moves by {moved}" if d.moved else ""
            told += f"; Keras moves by {short(d.keras_moved)}" if d.keras_moved else ""
            yield f"rounded: {KINDS[d.kind]}: {printable(d.path, 60)}: apart {apart}, PyTorch off {torch}, Keras off {keras}{told}"
        if len(found) > SHOWN:
            yield f"rounded: {len(found) - SHOWN} more, in --json"

    def record(self) -> dict[str, Any]:
        """All of it, for JSON."""
        fault = self.fault()
        place = fault.place if fault else None
        return {
            "spec": printable(self.spec, 4096),
            "model": self.model.kind,
            "digest": self.case.digest,
            "files": self.files,
            "runtime": self.runtime,
            "dtype": self.case.dtype,
            "device": self.place.device,
            "tf32": self.place.tf32,
            "modes": list(self.case.modes),
            "batch": self.case.batch,
            "seed": min(report.seed for report in self.reports),
            "seeds": len(self.reports),
            "verdict": self.verdict,
            "rounded": len(self.rounded),
            "worst": number(max((d.relative for d in self.found.values()), default=0.0)),
            "tolerance": {
                "fails": self.tolerance.fails,
                "warns": self.tolerance.warns,
                "why": self.tolerance.why,
            },
            "fault": None
            if fault is None
            else {
                "code": fault.code,
                "message": fault.message,
                "seed": self.worst_of.seed,
                "step": self.worst_of.first() or None,
                "file": place.file if place else None,
                "line": place.line if place else None,
                "column": place.column if place else None,
            },
            "notes": list(self.notes()),
            "tensors": [
                {
                    "kind": d.kind,
                    "path": d.path,
                    "absolute": number(d.absolute),
                    "relative": number(d.relative),
                    "torch_error": None if d.torch_error is None else number(d.torch_error),
                    "keras_error": None if d.keras_error is None else number(d.keras_error),
                    "moved": number(d.moved),
                    "keras_moved": number(d.keras_moved),
                    "spread": number(d.spread),
                    "verdict": self.tolerance.verdict(d),
                }
                for d in self.found.values()
            ],
        }


def short(x: float) -> str:
    """Two digits; 0 for none at all."""
    return "0" if x == 0 else f"{x:.1e}" if isfinite(x) else "no number"


def errors_of(d: Difference) -> tuple[str, str]:
    """How far each file is from float64."""
    torch, keras = ("" if x is None else short(x) for x in (d.torch_error, d.keras_error))
    return torch, keras


def number(x: float) -> float | None:
    return x if isfinite(x) else None


def summary(results: Iterable[Result]) -> Table:
    """A line for each spec and runtime."""
    rows = []
    for r in results:
        worst = {
            kinds: max((d.relative for d in r.found.values() if d.kind in kinds), default=None)
            for kinds in (
                ("output", "step"),
                ("gradient", "weight_gradient"),
                tuple(
                    k
                    for k in KINDS
                    if k.startswith(("trained", "weight", "statistic")) and k != "weight_gradient"
                ),
            )
        }
        cells = ("" if w is None else short(w) for w in worst.values())
        rows.append(
            (
                *(printable(r.spec, 60), r.runtime, r.case.dtype, *cells),
                *(short(r.tolerance.fails), str(len(r.rounded)), r.verdict),
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
    return Table(headings, rows, (3, 4, 5, 6, 7))

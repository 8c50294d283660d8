"""The tables of a parity run: for each kind of tensor, for each step, and for several specs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from specbuild.diagnostics.errors import make_printable
from specbuild.ir.graph import Block
from specbuild.parity.difference import GRADIENTS, KIND_TITLES, Difference
from specbuild.parity.result import ParityResult, format_number, format_reference_errors


class TextTable(Struct, frozen=True):
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


def kind_table(result: ParityResult) -> TextTable:
    """Return one row for each kind of tensor."""
    rows = []
    for kind, title in KIND_TITLES.items():
        differences = [d for d in result.differences.values() if d.kind == kind]
        if differences:
            worst = max(differences, key=result.rank_difference)
            absolute = format_number(max(d.absolute for d in differences))
            errors = format_reference_errors(worst) if result.has_rounding else ()
            verdict = result.combine_verdicts(differences)
            cells = (title, str(len(differences)), absolute, format_number(worst.relative))
            rows.append((*cells, *errors, verdict, make_printable(worst.path, 60)))
    error_headings = [f"{title} error" for title in result.short_titles] if result.has_rounding else []
    headings = ("what", "tensors", "largest |a - b|", "relative", *error_headings, "verdict", "worst")
    return TextTable(headings, rows, tuple(range(1, 4 + len(error_headings))))


def step_table(result: ParityResult, depth: int) -> TextTable:
    """Return one row for each named step up to `depth` blocks deep.

    It includes all steps inside that step.
    """
    by_step: dict[str, list[Difference]] = {path: [] for path in result.steps}
    for d in result.differences.values():
        path = d.path if d.path in by_step else d.path.rpartition(".")[0]
        if path in by_step:
            by_step[path].append(d)
    rows = []
    for path, step in result.steps.items():
        if not step.is_named or nesting_level(result, path) >= depth:
            continue
        inside = [d for p, ds in by_step.items() if p == path or p.startswith(f"{path}.") for d in ds]
        own = result.differences.get(f"step:{path}")
        forward = (format_number(own.absolute), format_number(own.relative)) if own else ("", "")
        others = [d.relative for d in inside if d.kind != "step"]
        verdict = result.combine_verdicts(inside) if inside else "not recorded"
        cells = (make_printable(path, 60), step.op_name, make_printable(str(step.type), 48))
        rows.append((*cells, *forward, format_number(max(others)) if others else "", verdict))
    headings = ("step", "op or block", "output", "largest |a - b|", "relative", "its weights", "verdict")
    return TextTable(headings, rows, (3, 4, 5))


def nesting_level(result: ParityResult, path: str) -> int:
    """Return the number of blocks around a step."""
    return sum(path.startswith(f"{p}.") for p, s in result.steps.items() if isinstance(s.node.op, Block))


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

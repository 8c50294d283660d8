"""A comparison as a text report and as JSON data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specbuild.diagnostics.errors import make_printable
from specbuild.diff.compare import Change, Comparison
from specbuild.diff.describe import FATES, count_by_fate, model_entries, step_entries, weight_entries
from specbuild.diff.fold import DiffEntry
from specbuild.diff.renames import weight_rules
from specbuild.ir.cost import Cost
from specbuild.summary.rows import MEASURES
from specbuild.summary.table import format_memory, format_percent

FORMER_FORMAT = "former"  # name of the old checkpoint format in the rules
MAX_TEXT = 200  # characters of the text of an entry


@dataclass(frozen=True)
class ReportLine:
    """One line of the report: a label such as `added`, or "", and a text."""

    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label:8} {self.text}" if self.label else self.text


def report_lines(diff: Comparison, before: str, after: str) -> list[ReportLine]:
    """The report in sections; `before` and `after` are the names of the models."""
    if diff.equal:
        return [
            *(ReportLine("", f"{line.path}: {line.description}") for line in model_entries(diff)),
            ReportLine(
                "", f"{before} and {after} are the same model: the same steps, wiring, sizes and names"
            ),
        ]
    sections = [
        align_entries(model_entries(diff)),
        align_entries(step_entries(diff)),
        list(size_lines(diff)),
        list(weight_lines(diff)),
    ]
    lines: list[ReportLine] = []
    for section in sections:
        if section:
            lines += [*([ReportLine("", "")] if lines else []), *section]
    return [ReportLine("", f"{before} -> {after}"), ReportLine("", ""), *lines]


def align_entries(entries: Sequence[DiffEntry]) -> list[ReportLine]:
    """Entries in columns: label, path, text."""
    width = min(max((len(line.path) for line in entries), default=0), 60)
    aligned = []
    for line in entries:
        text = f"{line.path:{width}}  {make_printable(line.description, MAX_TEXT)}"
        if line.steps and (line.steps > 1 or line.parameters):
            each = line.steps // line.repeats
            alike = line.repeats > 1 < each and each * line.repeats == line.steps
            steps = (
                f"{line.repeats} x {each} steps" if alike else f"{line.steps} step{'s' * (line.steps != 1)}"
            )
            took = f", {line.parameters:,} parameters" if line.parameters else ""
            text += f"  ({steps}{took})"
        aligned.append(ReportLine(line.label, text.rstrip()))
    return aligned


def size_lines(diff: Comparison) -> Iterator[ReportLine]:
    """A table of the total sizes of both models."""
    old, new = diff.total_costs
    rows = [("", "before", "after", "difference", "")]
    for name in MEASURES:
        a, b = MEASURES[name](old), MEASURES[name](new)
        shown = format_memory if name == "memory" else "{:,}".format
        sign = "+" if b > a else "-" if b < a else ""
        share = f"{sign}{format_growth(abs(b - a) / a)}" if a and a != b else ""
        rows.append(
            (
                name,
                shown(a) or "0",
                shown(b) or "0",
                f"{sign}{shown(abs(b - a))}" if a != b else "none",
                share,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        yield ReportLine("", "  ".join(cells).rstrip())


def format_growth(share: float) -> str:
    """A growth as percent, from ten times on as a factor."""
    return (
        format_percent(share)
        if share < 0.995
        else f"{100 * share:.0f}%"
        if share < 10
        else f"{share:.0f} times"
    )


def weight_lines(diff: Comparison) -> Iterator[ReportLine]:
    """A table of weights by fate, their changes, and rules for those that moved."""
    counts = {fate: count for fate, count in count_by_fate(diff).items() if count.tensors}
    whole = diff.total_costs[1].parameters
    rows = [("weights", "tensors", "parameters", "", "")]
    for fate, count in counts.items():
        share = format_percent(count.trained_elements / whole) if whole and fate != "gone" else ""
        rows.append((fate, f"{count.tensors:,}", f"{count.trained_elements:,}", share, FATES[fate]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(w) for cell, w in zip(row[1:-1], widths[1:-1], strict=True)]
        word = row[0] if row[0] != "weights" else ""
        yield (
            ReportLine(word, "  ".join([*cells, row[-1]]).rstrip())
            if word
            else ReportLine("", f"{row[0]:8} {'  '.join(cells)}".rstrip())
        )
    if detail := weight_entries(diff):
        yield ReportLine("", "")
        yield from align_entries(detail)
    if mixed := diff.colliding_weights:
        yield ReportLine("", "")
        yield ReportLine(
            "",
            f"careful: {len(mixed)} of those that moved have a path that was another's; "
            "loaded by name, they would get its values",
        )
    if moved := weight_rules(diff):
        yield ReportLine("", "")
        yield ReportLine("", "what moved is carried by this in the new spec:")
        yield ReportLine("", "weights:")
        yield ReportLine("", f"  {FORMER_FORMAT}:")
        yield from (ReportLine("", f"    {was}: {now}") for was, now in moved.items())


def diff_document(diff: Comparison) -> dict[str, Any]:
    """All differences as data for JSON, without folding."""
    old, new = diff.total_costs
    return {
        "equal": diff.equal,
        "model": change_records(diff.model),
        "params": change_records(diff.params),
        "added": {step.path: step.op.name for step in diff.added},
        "removed": {step.path: step.op.name for step in diff.removed},
        "changed": {path: change_records(found) for path, found in diff.changed.items()},
        "blocks": {path: change_records(found) for path, found in diff.blocks.items()},
        "rewired": {
            path: {"before": list(r.before), "after": list(r.after), "follows": r.is_consequence}
            for path, r in diff.rewired.items()
        },
        "renamed": diff.renamed,
        "before": cost_record(old),
        "after": cost_record(new),
        "weights": [
            {
                "fate": w.fate,
                "before": w.before,
                "after": w.after,
                "shape_before": None if w.shape_before is None else list(w.shape_before),
                "shape_after": None if w.shape_after is None else list(w.shape_after),
                "trained": w.trained,
            }
            for w in diff.weights
        ],
        "rules": weight_rules(diff),
    }


def change_records(changes: Sequence[Change]) -> list[Mapping[str, str]]:
    return [{"what": c.subject, "before": c.before, "after": c.after} for c in changes]


def cost_record(cost: Cost) -> dict[str, int]:
    return {
        "parameters": cost.parameters,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "memory_bytes": cost.memory,
    }

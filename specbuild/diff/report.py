"""A comparison as a text report and as JSON data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from specbuild.diagnostics.errors import make_printable
from specbuild.diff.compare import Change, Comparison
from specbuild.diff.describe import FATES, count_by_fate, model_entries, step_entries, weight_entries
from specbuild.diff.fold import DiffEntry
from specbuild.diff.renames import former_weight_rules
from specbuild.ir.cost import Cost
from specbuild.summary.rows import MEASURES
from specbuild.summary.table import format_memory, format_percent

# The published naming that the printed rules define: the names in checkpoints of the old model.
FORMER_FORMAT = "former"
MAX_TEXT = 200  # characters of the text of an entry


class ReportLine(Struct, frozen=True):
    """One line of the report: a label such as `added`, or "", and a text."""

    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label:8} {self.text}" if self.label else self.text


def report_lines(diff: Comparison, before: str, after: str) -> list[ReportLine]:
    """Return the report in sections; `before` and `after` are the names of the models."""
    if diff.equal:
        return [
            *(ReportLine("", f"{entry.path}: {entry.description}") for entry in model_entries(diff)),
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
    """Return entries in columns: label, path, text."""
    width = min(max((len(entry.path) for entry in entries), default=0), 60)
    return [
        ReportLine(
            entry.label,
            f"{entry.path:{width}}  {make_printable(entry.description, MAX_TEXT)}{format_size(entry)}".rstrip(),
        )
        for entry in entries
    ]


def format_size(entry: DiffEntry) -> str:
    """Return the number of steps and parameters of an entry, in brackets.

    "" for a single step without any.
    """
    if not entry.steps or (entry.steps == 1 and not entry.parameters):
        return ""
    each = entry.steps // entry.repeats
    if entry.repeats > 1 < each and each * entry.repeats == entry.steps:
        steps = f"{entry.repeats} x {each} steps"
    else:
        steps = f"{entry.steps} step{'s' * (entry.steps != 1)}"
    parameters = f", {entry.parameters:,} parameters" if entry.parameters else ""
    return f"  ({steps}{parameters})"


def size_lines(diff: Comparison) -> Iterator[ReportLine]:
    """Yield a table of the total sizes of both models."""
    old, new = diff.total_costs
    rows = [
        ("", "before", "after", "difference", ""),
        *(size_row(name, measure(old), measure(new)) for name, measure in MEASURES.items()),
    ]
    widths = column_widths(rows)
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        yield ReportLine("", "  ".join(cells).rstrip())


def size_row(name: str, before: int, after: int) -> tuple[str, ...]:
    """Return a row of the table of sizes: name, before, after, difference, growth."""
    format_number = format_memory if name == "memory" else "{:,}".format
    sign = "+" if after > before else "-" if after < before else ""
    difference = f"{sign}{format_number(abs(after - before))}" if before != after else "none"
    growth = f"{sign}{format_growth(abs(after - before) / before)}" if before and before != after else ""
    return name, format_number(before) or "0", format_number(after) or "0", difference, growth


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def format_growth(share: float) -> str:
    """Return a growth as a percentage; from 1000% on as a number of times."""
    if share < 0.995:
        return format_percent(share)
    return f"{100 * share:.0f}%" if share < 10 else f"{share:.0f} times"


def quote_rule(pattern: str) -> str:
    """Return a pattern of a rule as YAML, which reads a brace at the beginning as a mapping."""
    return f'"{pattern}"' if pattern.startswith("{") else pattern


def weight_lines(diff: Comparison) -> Iterator[ReportLine]:
    """Yield a table of weights by fate, the changes of single weights, and rules for those that moved."""
    yield from weight_table(diff)
    if detail := weight_entries(diff):
        yield ReportLine("", "")
        yield from align_entries(detail)
    if colliding := diff.colliding_weights:
        yield ReportLine("", "")
        yield ReportLine(
            "",
            f"warning: {len(colliding)} of the moved weights have a path that belonged to another weight; "
            "loading by name would give them the values of that weight",
        )
    if rules := former_weight_rules(diff):
        yield ReportLine("", "")
        yield ReportLine("", "to load the moved weights from an old checkpoint, add this to the new spec:")
        yield ReportLine("", "weights:")
        yield ReportLine("", f"  {FORMER_FORMAT}:")
        yield from (ReportLine("", f"    {quote_rule(old)}: {quote_rule(new)}") for old, new in rules.items())


def weight_table(diff: Comparison) -> Iterator[ReportLine]:
    """Yield the number of tensors and of trainable parameters of each fate."""
    counts = {fate: count for fate, count in count_by_fate(diff).items() if count.tensors}
    total = diff.total_costs[1].parameters
    rows = [("weights", "tensors", "parameters", "", "")]
    for fate, count in counts.items():
        share = format_percent(count.trainable_elements / total) if total and fate != "removed" else ""
        rows.append((fate, f"{count.tensors:,}", f"{count.trainable_elements:,}", share, FATES[fate]))
    widths = column_widths(rows)
    for name, *numbers, meaning in rows:
        cells = [cell.rjust(w) for cell, w in zip(numbers, widths[1:-1], strict=True)]
        line = ReportLine(name, "  ".join([*cells, meaning]).rstrip())
        yield line if meaning else ReportLine("", str(line))  # the headings carry no label


def diff_document(diff: Comparison) -> dict[str, Any]:
    """Return all differences as data for JSON, without folding."""
    old, new = diff.total_costs
    return {
        "equal": diff.equal,
        "model": change_records(diff.model),
        "params": change_records(diff.params),
        "added": {step.path: step.op.title for step in diff.added},
        "removed": {step.path: step.op.title for step in diff.removed},
        "changed": {path: change_records(changes) for path, changes in diff.changed.items()},
        "blocks": {path: change_records(changes) for path, changes in diff.blocks.items()},
        "rewired": {
            path: {
                "before": list(rewired.before),
                "after": list(rewired.after),
                "is_consequence": rewired.is_consequence,
            }
            for path, rewired in diff.rewired.items()
        },
        "renamed": diff.renamed,
        "before": diff_cost_record(old),
        "after": diff_cost_record(new),
        "weights": [
            {
                "fate": weight.fate,
                "before": weight.before,
                "after": weight.after,
                "shape_before": None if weight.shape_before is None else list(weight.shape_before),
                "shape_after": None if weight.shape_after is None else list(weight.shape_after),
                "trainable": weight.is_trainable,
            }
            for weight in diff.weights
        ],
        "rules": former_weight_rules(diff),
    }


def change_records(changes: Sequence[Change]) -> list[Mapping[str, str]]:
    return [{"subject": c.subject, "before": c.before, "after": c.after} for c in changes]


def diff_cost_record(cost: Cost) -> dict[str, int]:
    return {
        "parameters": cost.parameters,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "memory_bytes": cost.memory,
    }

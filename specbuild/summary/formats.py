"""Summaries as Markdown, CSV and JSON data."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from specbuild.ir.cost import Cost, family_costs
from specbuild.summary.rows import SummaryRow
from specbuild.summary.table import NUMBER_COLUMNS, TEXT_COLUMNS, SummaryTable, cost_cells, format_percent
from specbuild.summary.taps import HEADINGS, Tap

COLUMNS = (
    "step",
    "level",
    "kind",
    "count",
    "output",
    "parameters",
    "frozen",
    "buffers",
    "multiply_adds",
    "activations",
    "memory_bytes",
)


def summary_markdown(table: SummaryTable) -> str:
    """Return the summary in Markdown: a table of steps by full path, a table of op families, and the totals."""
    steps = [
        (
            f"`{placed.path}`",
            placed.row.kind_and_count,
            f"`{placed.row.marked_output}`",
            *cost_cells(placed.row.cost),
            format_percent(table.cost_share(placed.row.cost)),
        )
        for placed in table.placed_rows
    ]
    kinds = [
        (name, str(share.steps), *cost_cells(share.cost), format_percent(table.cost_share(share.cost)))
        for name, share in family_costs(table.model).items()
    ]
    share = f"of {table.share_measure}"
    return (
        markdown_table((*TEXT_COLUMNS, *NUMBER_COLUMNS, share), steps, len(TEXT_COLUMNS))
        + "\n"
        + markdown_table(("family of ops", "steps", *NUMBER_COLUMNS, share), kinds, 1)
        + "\n"
        + "".join(f"{line}\n" for line in table.total_lines)
    )


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """Return a Markdown table: the first `left` columns are texts, the others numbers."""
    marks = ["---" if i < left else "---:" for i in range(len(headings))]
    lines = [headings, marks, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def summary_csv(table: SummaryTable) -> str:
    """Return the summary as CSV, a row for each step; a row includes those below it with a higher level."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for placed in table.placed_rows:
        row = placed.row
        writer.writerow(
            (
                placed.path,
                placed.level,
                row.kind,
                row.instance_count,
                row.output,
                *cost_record(row.cost).values(),
            )
        )
    return stream.getvalue()


def summary_document(table: SummaryTable) -> dict[str, Any]:
    """Return the whole summary as data for JSON, of any depth."""
    model = table.model
    return {
        "model": model.name,
        **cost_record(table.total_cost),
        "inputs": {name: str(x) for name, x in model.inputs.items()},
        "outputs": {name or "output": str(o) for name, o in model.outputs.items()},
        "families": {
            name: {"steps": share.steps, **cost_record(share.cost)}
            for name, share in family_costs(model).items()
        },
        "steps": [row_record(row) for row in table.rows if row.kind != "input"],
    }


def row_record(row: SummaryRow, prefix: str = "") -> dict[str, Any]:
    """Return a row and its inner rows as data for JSON."""
    path = f"{prefix}{row.path_part}"
    return {
        "name": row.name,
        "path": path,
        "kind": row.kind,
        "output": row.output,
        "times": row.times,
        "count": row.instance_count,
        **cost_record(row.cost),
        "steps": [row_record(inner, f"{path}.") for inner in row.inner],
    }


def taps_markdown(taps: Sequence[Tap]) -> str:
    """Return the taps as a Markdown table."""
    rows = [
        (f"`{path}`", kind, f"`{shape}`", *rest)
        for path, kind, shape, *rest in (tap.table_cells() for tap in taps)
    ]
    return markdown_table(HEADINGS, rows, 3)


def taps_csv(taps: Sequence[Tap]) -> str:
    """Return the taps as CSV."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["tap", "kind", *HEADINGS[2:]])
    writer.writerows((tap.path, tap.kind, tap.type, tap.channel_count, tap.stride_text) for tap in taps)
    return stream.getvalue()


def cost_record(cost: Cost) -> dict[str, int]:
    """Return a cost as data for JSON and CSV, in the order of COLUMNS."""
    return {
        "parameters": cost.parameters,
        "frozen": cost.frozen,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "activations": cost.activations,
        "memory_bytes": cost.memory,
    }

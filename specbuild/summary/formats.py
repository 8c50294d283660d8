"""A model's table for other programs: Markdown, comma-separated values, JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from specbuild.ir.cost import Cost, families
from specbuild.summary.rows import Row
from specbuild.summary.table import LEFT, NUMBERS, Table, numbers, percent
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


def markdown(table: Table) -> str:
    """Two tables and the totals, for a README or a pull request; steps go by their whole paths."""
    steps = [
        (
            f"`{p.path}`",
            p.row.kind,
            f"`{p.row.output}`",
            *numbers(p.row.cost),
            percent(table.share(p.row.cost)),
        )
        for p in table.placed
    ]
    kinds = [
        (name, str(share.steps), *numbers(share.cost), percent(table.share(share.cost)))
        for name, share in families(table.model).items()
    ]
    share = f"of {table.measure}"
    return (
        page((*LEFT, *NUMBERS, share), steps, len(LEFT))
        + "\n"
        + page(("family of ops", "steps", *NUMBERS, share), kinds, 1)
        + "\n"
        + "".join(f"{line}\n" for line in table.totals)
    )


def page(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table of Markdown, whose first columns are texts and the others numbers."""
    marks = ["---" if i < left else "---:" for i in range(len(headings))]
    lines = [headings, marks, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def separated(table: Table) -> str:
    """A row for each step, plain numbers; what is inside a step is counted in its own row too: `level` tells it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for p in table.placed:
        row = p.row
        writer.writerow((p.path, p.level, row.what, row.count, row.output, *taken(row.cost).values()))
    return stream.getvalue()


def document(table: Table) -> dict[str, Any]:
    """Everything, whatever the depth."""
    model = table.model
    return {
        "model": model.kind,
        **taken(table.total),
        "inputs": {name: str(x) for name, x in model.inputs.items()},
        "outputs": {name or "output": str(o.type) for name, o in model.outputs.items()},
        "families": {
            name: {"steps": share.steps, **taken(share.cost)} for name, share in families(model).items()
        },
        "steps": [record(row) for row in table.rows if row.what != "input"],
    }


def record(row: Row, above: str = "") -> dict[str, Any]:
    """A row for JSON, with all that is in it."""
    path = f"{above}{row.part}"
    return {
        "name": row.name,
        "path": path,
        "kind": row.what,
        "output": row.output,
        "times": row.times,
        "count": row.count,
        **taken(row.cost),
        "steps": [record(inner, f"{path}.") for inner in row.inner],
    }


def tapped_page(found: Sequence[Tap]) -> str:
    """The values that can be tapped, as a table of Markdown."""
    rows = [
        (f"`{path}`", what, f"`{shape}`", *rest)
        for path, what, shape, *rest in (tap.cells() for tap in found)
    ]
    return page(HEADINGS, rows, 3)


def tapped_values(found: Sequence[Tap]) -> str:
    """The same as comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["tap", "kind", *HEADINGS[2:]])
    writer.writerows((tap.path, tap.what, tap.type, tap.channels, tap.stride) for tap in found)
    return stream.getvalue()


def taken(cost: Cost) -> dict[str, int]:
    """A cost for other programs, in the order of the columns."""
    return {
        "parameters": cost.parameters,
        "frozen": cost.frozen,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "activations": cost.activations,
        "memory_bytes": cost.memory,
    }

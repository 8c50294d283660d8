"""`specbuild show`: a model as a table."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.terminal import out, styled
from specbuild.cost import Cost
from specbuild.model import Model
from specbuild.summary import HEADINGS, NUMBERS, record, rows, totals, walk


def show(
    spec: options.Spec,
    depth: Annotated[int, typer.Option(min=1, help="How many levels of blocks are shown.")] = 2,
    variant: options.Variant = None,
    settings: options.Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON document.")] = False,
    root: options.Root = None,
) -> None:
    """Show a model: its steps, what comes out of each, parameters and multiply-adds."""
    model = options.model(spec, variant, settings, root)
    if as_json:
        out(json.dumps(document(model), indent=2) + "\n")
    elif styled(sys.stdout):
        draw(model, depth)
    else:
        out(model.summary(depth))


def document(model: Model) -> dict[str, object]:
    cost = model.cost
    return {
        "model": model.name,
        "parameters": cost.parameters,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "activations": cost.activations,
        "inputs": {name: str(x) for name, x in model.graph.inputs.items()},
        "outputs": {name or "output": str(o.type) for name, o in model.graph.outputs.items()},
        "steps": [record(row) for row in rows(model.graph) if row.what != "input"],
    }


def draw(model: Model, depth: int) -> None:
    """The table on a terminal: what holds others stands out, what costs nothing stays back."""
    from rich import box  # only here: it takes a third of the time of a command
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = rows(model.graph)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i in NUMBERS else "left", no_wrap=True)
    for row, level in walk(found, depth):
        style = "bold" if row.inner else "dim" if row.cost == Cost(activations=row.cost.activations) else ""
        table.add_row(*map(Text, row.cells(level)), style=style)
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(table)
    for line in totals(model.graph, model.cost):
        console.print(Text(line), soft_wrap=True)
    if any(row.inner for row, level in walk(found, depth) if level + 1 == depth):
        console.print(Text(f"deeper: --depth {depth + 1}", style="dim"))

"""`specbuild show`: a model as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.terminal import Exit, log, out, styled
from specbuild.diagnostics.errors import printable
from specbuild.summary import Key, rows
from specbuild.summary.budget import Limit, amount
from specbuild.summary.rows import ordered
from specbuild.summary.table import LEFT, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def limit(value: str | None) -> str | None:
    """A number that a model may take at most, as it is written."""
    if value is not None:
        try:
            amount(value)
        except ValueError:
            raise typer.BadParameter(
                f"{printable(value)!r} is not a number such as 25M, 4.1G or 1e9"
            ) from None
    return value


def show(
    spec: options.Spec,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many levels of blocks are shown: 2, but all for csv and taps.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        Key | None,
        typer.Option(help="What stands first at every level; else as the model runs.", show_default=False),
    ] = None,
    taps: Annotated[
        bool, typer.Option("--taps", help="Every value that can be tapped, with its stride beside the input.")
    ] = False,
    max_params: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="End with 1 if there are more parameters, such as 25M.",
            callback=limit,
            show_default=False,
        ),
    ] = None,
    max_macs: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="End with 1 if there are more multiply-adds, such as 4.1G.",
            callback=limit,
            show_default=False,
        ),
    ] = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    format: Annotated[
        Literal["text", "markdown", "csv"], typer.Option(help="How the table is written.")
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON document.")] = False,
    root: options.Root = None,
) -> None:
    """Show a model: its steps, what comes out of each, parameters, multiply-adds and memory."""
    if as_json and format != "text":
        raise typer.BadParameter(f"--json and --format {format} are two forms: choose one")
    if taps and sort:
        raise typer.BadParameter("taps stand in the order of the model: --sort is for the table")
    model = options.model(spec, variant, settings, root, features, only)
    limits = [
        Limit(what, said, amount(said), found)
        for what, said, found in (
            ("parameters", max_params, model.parameters),
            ("multiply-adds", max_macs, model.cost.macs),
        )
        if said is not None
    ]
    if taps:
        tapped(model, depth, format, as_json)
    else:
        told(model, depth or (None if format == "csv" else 2), sort, format, as_json, limits)
    over = [limit for limit in limits if not limit.kept]
    for limit in over:
        log(limit.told(model.name))
    if over:
        raise typer.Exit(Exit.FOUND)


def told(
    model: Model, depth: int | None, sort: Key | None, format: str, as_json: bool, limits: list[Limit]
) -> None:
    found = rows(model.graph)
    table = Table(model.graph, ordered(found, sort) if sort else found, depth, sort)
    if not as_json and format == "text":
        if styled(sys.stdout):
            draw(table)
        else:
            out(table.text())
        return
    from specbuild.summary import formats

    if as_json:
        budget = {"budget": [limit.record() for limit in limits]} if limits else {}
        out(json.dumps({**formats.document(table), **budget}, indent=2) + "\n")
    else:
        out(formats.markdown(table) if format == "markdown" else formats.separated(table))


def tapped(model: Model, depth: int | None, format: str, as_json: bool) -> None:
    from specbuild.summary import formats
    from specbuild.summary.taps import listing, taps

    found = taps(model.whole, depth)
    if as_json:
        out(json.dumps({"model": model.name, "taps": [tap.record() for tap in found]}, indent=2) + "\n")
    elif format == "markdown":
        out(formats.tapped_page(found))
    elif format == "csv":
        out(formats.tapped_values(found))
    else:
        out(listing(found))


def draw(table: Table) -> None:
    """The table on a terminal: what holds others stands out, what costs nothing stays back.

    Where it is too wide, columns go from the right, but for what a step is called and what it takes.
    """
    from rich.console import Console  # only here: it takes a third of the time of a command
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    steps = [table.headings, *map(table.cells, table.placed)]
    styles = [
        "bold" if p.row.inner else "" if p.row.cost.parameters or p.row.cost.macs else "dim"
        for p in table.placed
    ]
    console.print(grid(steps, len(LEFT), styles, console.width), "")
    console.print(grid(table.families, 1, ["" for _ in table.families[1:]], console.width), "")
    for line in table.totals:
        console.print(Text(line, style="bold"), soft_wrap=True)
    if table.hidden:
        console.print(Text(f"deeper: --depth {(table.depth or 0) + 1}", style="dim"))


def grid(rows: Sequence[Sequence[str]], left: int, styles: Sequence[str], width: int) -> RichTable:
    """A table that fits, if it can."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    headings, *body = rows
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    kept = list(range(len(headings)))
    for spare in (headings.index("memory"), len(headings) - 1):
        if sum(widths[i] for i in kept) + 2 * (len(kept) - 1) > width:
            kept.remove(spare)
    table = RichTable(
        box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for i in kept:
        number = left <= i < len(headings) - 1
        table.add_column(headings[i], justify="right" if number else "left", no_wrap=True)
    for row, style in zip(body, styles, strict=True):
        cells = [Text(row[i], style="cyan" if i == len(headings) - 1 else "") for i in kept]
        table.add_row(*cells, style=style)
    return table

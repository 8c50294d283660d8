"""`specbuild show`: a model as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.terminal import ExitCode, can_style, log_line, print_text
from specbuild.diagnostics.errors import make_printable
from specbuild.summary import SortKey, summary_rows
from specbuild.summary.budget import BudgetLimit, parse_amount
from specbuild.summary.rows import sort_rows
from specbuild.summary.table import TEXT_COLUMNS, SummaryTable

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def check_limit(value: str | None) -> str | None:
    """A number that a model may take at most, as it is written."""
    if value is not None:
        try:
            parse_amount(value)
        except ValueError:
            raise typer.BadParameter(
                f"{make_printable(value)!r} is not a number such as 25M, 4.1G or 1e9"
            ) from None
    return value


def show_command(
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
        SortKey | None,
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
            callback=check_limit,
            show_default=False,
        ),
    ] = None,
    max_macs: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="End with 1 if there are more multiply-adds, such as 4.1G.",
            callback=check_limit,
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
    model = options.load_model(spec, variant, settings, root, features, only)
    limits = [
        BudgetLimit(what, said, parse_amount(said), found)
        for what, said, found in (
            ("parameters", max_params, model.parameters),
            ("multiply-adds", max_macs, model.cost.macs),
        )
        if said is not None
    ]
    if taps:
        print_taps(model, depth, format, as_json)
    else:
        print_summary(model, depth or (None if format == "csv" else 2), sort, format, as_json, limits)
    over = [limit for limit in limits if not limit.is_met]
    for limit in over:
        log_line(limit.describe_excess(model.name))
    if over:
        raise typer.Exit(ExitCode.FOUND)


def print_summary(
    model: Model,
    depth: int | None,
    sort: SortKey | None,
    format: str,
    as_json: bool,
    limits: list[BudgetLimit],
) -> None:
    found = summary_rows(model.graph)
    table = SummaryTable(model.graph, sort_rows(found, sort) if sort else found, depth, sort)
    if not as_json and format == "text":
        if can_style(sys.stdout):
            print_styled_table(table)
        else:
            print_text(table.render_text())
        return
    from specbuild.summary import formats

    if as_json:
        budget = {"budget": [limit.limit_record() for limit in limits]} if limits else {}
        print_text(json.dumps({**formats.summary_document(table), **budget}, indent=2) + "\n")
    else:
        print_text(formats.summary_markdown(table) if format == "markdown" else formats.summary_csv(table))


def print_taps(model: Model, depth: int | None, format: str, as_json: bool) -> None:
    from specbuild.summary import formats
    from specbuild.summary.taps import list_taps, taps_text

    found = list_taps(model.full_graph, depth)
    if as_json:
        print_text(
            json.dumps({"model": model.name, "taps": [tap.tap_record() for tap in found]}, indent=2) + "\n"
        )
    elif format == "markdown":
        print_text(formats.taps_markdown(found))
    elif format == "csv":
        print_text(formats.taps_csv(found))
    else:
        print_text(taps_text(found))


def print_styled_table(table: SummaryTable) -> None:
    """The table on a terminal: what holds others stands out, what costs nothing stays back.

    Where it is too wide, columns go from the right, but for what a step is called and what it takes.
    """
    from rich.console import Console  # only here: it takes a third of the time of a command
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    steps = [table.column_headings, *map(table.row_cells, table.placed_rows)]
    styles = [
        "bold" if p.row.inner else "" if p.row.cost.parameters or p.row.cost.macs else "dim"
        for p in table.placed_rows
    ]
    console.print(fit_table(steps, len(TEXT_COLUMNS), styles, console.width), "")
    console.print(fit_table(table.family_rows, 1, ["" for _ in table.family_rows[1:]], console.width), "")
    for line in table.total_lines:
        console.print(Text(line, style="bold"), soft_wrap=True)
    if table.has_hidden_rows:
        console.print(Text(f"deeper: --depth {(table.depth or 0) + 1}", style="dim"))


def fit_table(rows: Sequence[Sequence[str]], left: int, styles: Sequence[str], width: int) -> RichTable:
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

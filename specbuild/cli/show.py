"""`specbuild show`: print a model as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import ExitCode, can_style, log_line, plain_console, print_text
from specbuild.cli.terminal_table import LEAST_FOLDED, print_table
from specbuild.diagnostics.errors import make_printable
from specbuild.summary import SortKey, summary_rows
from specbuild.summary.budget import BudgetLimit, parse_amount
from specbuild.summary.formats import (
    summary_csv,
    summary_document,
    summary_markdown,
    taps_csv,
    taps_markdown,
)
from specbuild.summary.rows import sort_rows
from specbuild.summary.table import TEXT_COLUMNS, SummaryTable
from specbuild.summary.taps import Tap, list_taps, taps_text


def check_limit(value: str | None) -> str | None:
    """Return the value if it is a number such as 25M, or None."""
    if value is not None:
        try:
            parse_amount(value)
        except ValueError:
            raise typer.BadParameter(
                f"{make_printable(value)!r} is not a number such as 25M, 4.1G or 1e9"
            ) from None
    return value


Depth = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many levels of blocks to show. Default: 2; all for CSV and taps.",
        show_default=False,
    ),
]
Sort = Annotated[
    SortKey | None,
    typer.Option(help="Sort the steps of each level. Default: execution order.", show_default=False),
]
Taps = Annotated[
    bool,
    typer.Option(
        "--taps",
        help="List the values that --features accepts, each with its stride relative to the input.",
    ),
]
MaxParams = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help="Exit with 1 if the model has more parameters than this, such as 25M.",
        callback=check_limit,
        show_default=False,
    ),
]
MaxMacs = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help="Exit with 1 if the model has more multiply-adds than this, such as 4.1G.",
        callback=check_limit,
        show_default=False,
    ),
]
TableFormat = Annotated[Literal["text", "markdown", "csv"], typer.Option(help="The format of the table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")]


# Many parameters: typer reads the options of a command from its signature.
def show_command(
    spec: options.Spec,
    depth: Depth = None,
    sort: Sort = None,
    taps: Taps = False,
    max_params: MaxParams = None,
    max_macs: MaxMacs = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    format: TableFormat = "text",
    as_json: AsJson = False,
    root: options.Root = None,
) -> None:
    """Show a model: its steps, their output shapes, parameters, multiply-adds and memory."""
    if as_json and format != "text":
        raise typer.BadParameter(f"--json and --format {format} are two formats: choose one")
    if taps and sort:
        raise typer.BadParameter("--sort is for the table: taps are always in execution order")
    output_format = "json" if as_json else format
    with print_errors_as_json("show", as_json):
        model = options.load_model(spec, variant, settings, root, features, only)
    limits = budget_limits(model, max_params, max_macs)
    if taps:
        print_taps(list_taps(model.full_graph, depth), model.name, output_format)
    else:
        rows = summary_rows(model.graph)
        levels = depth or (None if format == "csv" else 2)
        table = SummaryTable(model.graph, sort_rows(rows, sort) if sort else rows, levels, sort)
        print_summary(table, limits, output_format)
    exceeded = [limit for limit in limits if not limit.is_met]
    for limit in exceeded:
        log_line(limit.describe_excess(model.name))
    if exceeded:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def budget_limits(model: Model, max_params: str | None, max_macs: str | None) -> list[BudgetLimit]:
    """Return the limits that were given, with the model's numbers."""
    return [
        BudgetLimit(quantity, limit, parse_amount(limit), actual)
        for quantity, limit, actual in (
            ("parameters", max_params, model.parameters),
            ("multiply-adds", max_macs, model.cost.macs),
        )
        if limit is not None
    ]


def print_summary(table: SummaryTable, limits: list[BudgetLimit], format: str) -> None:
    if format == "json":
        budget = {"budget": [limit.limit_record() for limit in limits]} if limits else {}
        print_document("show", {**summary_document(table), **budget})
    elif format == "markdown":
        print_text(summary_markdown(table))
    elif format == "csv":
        print_text(summary_csv(table))
    elif can_style(sys.stdout):
        print_styled_table(table)
    else:
        print_text(table.render_text())


def print_taps(taps: Sequence[Tap], model_name: str, format: str) -> None:
    if format == "json":
        print_document("show", {"model": model_name, "taps": [tap.tap_record() for tap in taps]})
    elif format == "markdown":
        print_text(taps_markdown(taps))
    elif format == "csv":
        print_text(taps_csv(taps))
    else:
        print_text(taps_text(taps))


def print_styled_table(table: SummaryTable) -> None:
    """Print the table to a terminal: blocks in bold, steps without parameters or multiply-adds dimmed."""
    from rich.text import Text

    console = plain_console()
    step_rows = [table.column_headings, *map(table.row_cells, table.placed_rows)]
    styles = [
        "bold" if p.row.inner else "" if p.row.cost.parameters or p.row.cost.macs else "dim"
        for p in table.placed_rows
    ]
    print_fitted(step_rows, len(TEXT_COLUMNS), styles, console.width)
    print_fitted(table.family_rows, 1, ["" for _ in table.family_rows[1:]], console.width)
    for line in table.total_lines:
        console.print(Text(line, style="bold"), soft_wrap=True)
    if table.has_hidden_rows:
        console.print(Text(f"deeper: --depth {(table.depth or 0) + 1}", style="dim"))


def print_fitted(rows: Sequence[Sequence[str]], text_columns: int, styles: Sequence[str], width: int) -> None:
    """Print a table; if it is too wide, it loses the memory column, then the last column, and texts are folded.

    If even folded texts leave no room, it loses the multiply-adds, whose sum is printed below.

    The first row holds the headings. The first `text_columns` columns and the last are text, others numbers.
    """
    from rich.text import Text

    headings, *body = rows
    last = len(headings) - 1
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = list(range(len(headings)))
    for spare in (headings.index("memory"), last):
        if sum(widths[i] for i in columns) + 2 * (len(columns) - 1) > width:
            columns.remove(spare)
    least = [min(n, LEAST_FOLDED) if i < text_columns else n for i, n in enumerate(widths)]
    if sum(least[i] for i in columns) + 2 * (len(columns) - 1) > width:
        columns.remove(headings.index("multiply-adds"))
    print_table(
        [headings[i] for i in columns],
        [[Text(row[i], style="cyan" if i == last else "") for i in columns] for row in body],
        styles,
        numbers=[place for place, i in enumerate(columns) if text_columns <= i < last],
        folded=range(text_columns),
    )

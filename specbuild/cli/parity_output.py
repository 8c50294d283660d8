"""How `specbuild parity` prints its results: as text, in colour, as Markdown, or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import typer

from specbuild.cli.terminal import (
    can_style,
    error_records,
    exit_code,
    plain_console,
    print_error,
    print_json,
    print_text,
)
from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable
from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.parity.report import ParityResult, TextTable

# What a worker process reports about itself: framework, device, switches.
WorkerRecord: TypeAlias = dict[str, Any]
VERDICT_STYLES = {"differs": "bold red", "failed": "bold red", "close": "yellow", "rounded": "yellow"}


def stop_with_error(error: SpecError, earlier: Sequence[SpecError], form: str) -> NoReturn:
    """End the command because nothing can be compared: print this error after the earlier ones."""
    errors = SpecErrors([*earlier, error])
    if form != "json":
        raise errors
    print_parity_json([], [], errors.errors)
    raise typer.Exit(exit_code(errors))


def print_report(
    results: Sequence[ParityResult],
    workers: Sequence[WorkerRecord],
    errors: Sequence[SpecError],
    form: str,
    depth: int,
) -> None:
    """Print all results and errors. `depth` is the number of block levels in the tables of steps."""
    if form == "json":
        print_parity_json(results, workers, errors)
        return
    print_results(results, workers, form, depth)
    if not errors:
        return
    if form == "markdown":
        items = "".join(f"- {error.code}: {format_error(error)}\n" for error in errors)
        print_text(f"### errors\n\n{items}")
    print_error(SpecErrors(errors))


def print_parity_json(
    results: Iterable[ParityResult], workers: Sequence[WorkerRecord], errors: Iterable[SpecError]
) -> None:
    print_json(
        {
            "specbuild": __version__,
            "processes": workers,
            "results": [result.to_json() for result in results],
            "errors": error_records(SpecErrors(errors)),
        }
    )


def format_error(error: SpecError) -> str:
    """Return the message with its location, on one line of Markdown."""
    location = f"{error.location.file}:{error.location.line}: " if error.location else ""
    return make_printable(f"{location}{error.message}", 2000)


def print_results(
    results: Sequence[ParityResult], workers: Sequence[WorkerRecord], form: str, depth: int
) -> None:
    """Print the tables of every result, a summary, and the settings of the worker processes."""
    from specbuild.parity.report import summary_table

    print_part: Callable[[str, TextTable | None, Sequence[str]], None] = print_plain
    if form == "markdown":
        print_part = print_markdown
    elif can_style(sys.stdout):
        print_part = print_styled
    for result in results:
        print_part(format_title(result), result.kind_table(), [])
        if result.steps:
            print_part("", result.step_table(depth), list(result.format_notes()))
    if len(results) > 1:
        print_part("summary", summary_table(results), [])
    for worker in workers:
        switches = [f"{s['name']} = {s['value']}" for s in worker["switches"]]
        print_part(f"{worker['framework']} on {worker['device']}", None, switches)


def format_title(result: ParityResult) -> str:
    case = result.case
    title = f"{make_printable(result.spec)}: {result.model.kind}, {result.title}: {result.verdict}"
    seeds = f"{len(result.reports)} seeds" if len(result.reports) > 1 else f"seed {case.seed}"
    return f"{title} ({case.dtype} on {result.options.device}, batch {case.batch}, {seeds})"


def print_plain(title: str, table: TextTable | None, lines: Sequence[str]) -> None:
    text = f"{title}\n" if title else ""
    text += table.format_text() if table else ""
    print_text(text + "".join(f"  {line}\n" for line in lines) + "\n")


def print_markdown(title: str, table: TextTable | None, lines: Sequence[str]) -> None:
    text = f"### {title}\n\n" if title else ""
    text += f"{table.format_markdown()}\n" if table else ""
    print_text(text + "".join(f"- {line}\n" for line in lines) + ("\n" if lines else ""))


def print_styled(title: str, table: TextTable | None, lines: Sequence[str]) -> None:
    """Print to a terminal; rows that differ are in colour."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = plain_console()
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    if table is not None:
        grid = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for i, heading in enumerate(table.headings):
            grid.add_column(heading, justify="right" if i in table.numbers else "left", no_wrap=True)
        for row in table.rows:
            style = next((VERDICT_STYLES[cell] for cell in row if cell in VERDICT_STYLES), "")
            grid.add_row(*map(Text, row), style=style)
        console.print(grid)
    for line in lines:
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

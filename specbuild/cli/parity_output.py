"""How `specbuild parity` prints its results: as text, in colour, as Markdown, or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import typer

from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import can_style, exit_code, plain_console, print_error, print_text
from specbuild.cli.terminal_table import print_table
from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable

if TYPE_CHECKING:
    from specbuild.parity.result import ParityResult
    from specbuild.parity.tables import TextTable

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
    verbose: bool,
) -> None:
    """Print all results and errors. `depth` is the number of block levels in the tables of steps."""
    if form == "json":
        print_parity_json(results, workers, errors)
        return
    print_results(results, workers, form, depth, verbose)
    if not errors:
        return
    if form == "markdown":
        items = "".join(f"- {error.code}: {format_error(error)}\n" for error in errors)
        print_text(f"### errors\n\n{items}")
    print_error(SpecErrors(errors))


def print_parity_json(
    results: Iterable[ParityResult], workers: Sequence[WorkerRecord], errors: Iterable[SpecError]
) -> None:
    from specbuild.parity.json_report import result_record

    content = {"processes": workers, "results": [result_record(result) for result in results]}
    print_document("parity", content, SpecErrors(errors))


def format_error(error: SpecError) -> str:
    """Return the message with its location, on one line of Markdown."""
    location = f"{error.location.file}:{error.location.line}: " if error.location else ""
    return make_printable(f"{location}{error.message}", 2000)


def print_results(
    results: Sequence[ParityResult],
    workers: Sequence[WorkerRecord],
    form: str,
    depth: int,
    verbose: bool,
) -> None:
    """Print the tables of every result, a summary, and the worker processes; if `verbose`, with their switches."""
    from specbuild.parity.notes import format_notes
    from specbuild.parity.tables import kind_table, step_table, summary_table

    print_part: Callable[[str, TextTable | None, Sequence[str]], None] = print_plain
    if form == "markdown":
        print_part = print_markdown
    elif can_style(sys.stdout):
        print_part = print_styled
    for result in results:
        print_part(format_title(result), kind_table(result), [])
        if result.steps:
            print_part("", step_table(result, depth), list(format_notes(result)))
    if len(results) > 1:
        print_part("summary", summary_table(results), [])
    for worker in workers:
        switches = [f"{s['name']} = {s['value']}" for s in worker["switches"] if verbose]
        print_part(f"{worker['framework']} on {worker['device']}", None, switches)


def format_title(result: ParityResult) -> str:
    case = result.case
    title = f"{make_printable(result.spec)}: {result.model.name}, {result.title}: {result.verdict}"
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
    from rich.text import Text

    console = plain_console()
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    if table is not None:
        styles = [
            next((VERDICT_STYLES[cell] for cell in row if cell in VERDICT_STYLES), "") for row in table.rows
        ]
        rows = [[Text(cell) for cell in row] for row in table.rows]
        folded = {0, len(table.headings) - 1} - set(table.numbers)  # both are names
        folded -= {table.headings.index("verdict")} if "verdict" in table.headings else set()
        print_table(table.headings, rows, styles, numbers=table.numbers, folded=folded)
    for line in lines:
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

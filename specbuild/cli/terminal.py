"""How commands speak: results to stdout, the log to stderr, colour only on terminals, exit codes."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

import typer

from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable

if TYPE_CHECKING:
    from rich.text import Text


class ExitCode(IntEnum):
    """What a command ends with."""

    FINE = 0
    FOUND = 1  # a check found something, or a file was edited by hand
    USAGE = 2
    INVALID = 3  # the spec
    MISSING = 4  # a backend or a device
    BUG = 70


EXIT_CODES = {
    "SB602": ExitCode.MISSING,
    "SB603": ExitCode.MISSING,
    "SB604": ExitCode.MISSING,
    "SB701": ExitCode.FOUND,
    "SB702": ExitCode.USAGE,
    "SB703": ExitCode.USAGE,
    "SB704": ExitCode.FOUND,
    "SB801": ExitCode.FOUND,
    "SB803": ExitCode.USAGE,
    "SB804": ExitCode.FOUND,
    "SB805": ExitCode.FOUND,
    "SB806": ExitCode.USAGE,
    "SB807": ExitCode.FOUND,
    "SB901": ExitCode.FOUND,
    "SB902": ExitCode.FOUND,
    "SB903": ExitCode.FOUND,
    "SB951": ExitCode.MISSING,
    "SB952": ExitCode.FOUND,
    "SB953": ExitCode.USAGE,
    "SB954": ExitCode.MISSING,
}


def exit_code(error: SpecError | SpecErrors) -> ExitCode:
    """The gravest of the codes that the faults have; those of the spec come first."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    found = {EXIT_CODES.get(e.code, ExitCode.INVALID) for e in errors}
    return next(
        code for code in (ExitCode.INVALID, ExitCode.MISSING, ExitCode.USAGE, ExitCode.FOUND) if code in found
    )


def print_text(text: str) -> None:
    """A result, to stdout, as UTF-8 with the line breaks that it has, whatever the system prefers."""
    write_text(text, sys.stdout)


def log_line(text: str) -> None:
    """One line of the log, to stderr; `text` may hold anything."""
    write_text(make_printable(text, 1000) + "\n", sys.stderr)


def write_text(text: str, stream: TextIO) -> None:
    try:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
    except BrokenPipeError:  # whoever read it has read enough: end as SIGPIPE would
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise typer.Exit(141) from None


def can_style(stream: TextIO) -> bool:
    """Whether what is written there may have colours and weights: a terminal, whose user has not said no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_error(error: SpecError | SpecErrors, stream: TextIO | None = None) -> None:
    """A fault as text, in colour on a terminal."""
    stream = stream or sys.stderr
    text = format_errors(error)
    if not can_style(stream):
        write_text(text + "\n", stream)
        return
    from rich.console import Console  # only here: it takes a third of the time of a command

    Console(file=stream).print(highlight_error(text), soft_wrap=True)


def highlight_error(text: str) -> Text:
    """The words of a rendered fault, as they are, with colours."""
    from rich.text import Text

    result = Text(text)
    result.highlight_regex(r"(?m)^error\[\w+\]", "bold red")
    result.highlight_regex(r"(?m)^error\[\w+\]: (?P<message>.*)$", "bold")
    result.highlight_regex(r"(?m)^ *-->", "blue")
    result.highlight_regex(r"(?m)^ *\d* \|", "blue")
    result.highlight_regex(r"(?m)^ *\| *(?P<caret>\^)$", "bold red")
    result.highlight_regex(r"(?m)^ *= help:", "cyan")
    return result


def report_bug(error: BaseException) -> ExitCode:
    """The message for what must not happen."""
    if os.environ.get("SPECBUILD_TRACEBACK") == "1":
        raise error
    log_line(f"error: this is a bug in specbuild, not in your spec: {type(error).__name__}: {error}")
    log_line("Please report it with the spec; SPECBUILD_TRACEBACK=1 shows where it happened.")
    return ExitCode.BUG

"""How commands speak: results to stdout, the log to stderr, colour only on terminals, exit codes."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

import typer

from specbuild.diagnostics.errors import SpecError, SpecErrors, printable, render

if TYPE_CHECKING:
    from rich.text import Text


class Exit(IntEnum):
    """What a command ends with."""

    FINE = 0
    FOUND = 1  # a check found something, or a file was edited by hand
    USAGE = 2
    INVALID = 3  # the spec
    MISSING = 4  # a backend or a device
    BUG = 70


CODES = {
    "SB602": Exit.MISSING,
    "SB603": Exit.MISSING,
    "SB604": Exit.MISSING,
    "SB701": Exit.FOUND,
    "SB702": Exit.USAGE,
    "SB703": Exit.USAGE,
    "SB704": Exit.FOUND,
    "SB801": Exit.FOUND,
    "SB803": Exit.USAGE,
    "SB804": Exit.FOUND,
    "SB805": Exit.FOUND,
    "SB806": Exit.USAGE,
    "SB807": Exit.FOUND,
    "SB901": Exit.FOUND,
    "SB902": Exit.FOUND,
    "SB903": Exit.FOUND,
    "SB951": Exit.MISSING,
    "SB952": Exit.FOUND,
    "SB953": Exit.USAGE,
    "SB954": Exit.MISSING,
}


def exit_code(error: SpecError | SpecErrors) -> Exit:
    """The gravest of the codes that the faults have; those of the spec come first."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    found = {CODES.get(e.code, Exit.INVALID) for e in errors}
    return next(code for code in (Exit.INVALID, Exit.MISSING, Exit.USAGE, Exit.FOUND) if code in found)


def out(text: str) -> None:
    """A result, to stdout, as UTF-8 with the line breaks that it has, whatever the system prefers."""
    written(text, sys.stdout)


def log(text: str) -> None:
    """One line of the log, to stderr; `text` may hold anything."""
    written(printable(text, 1000) + "\n", sys.stderr)


def written(text: str, stream: TextIO) -> None:
    try:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
    except BrokenPipeError:  # whoever read it has read enough: end as SIGPIPE would
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise typer.Exit(141) from None


def styled(stream: TextIO) -> bool:
    """Whether what is written there may have colours and weights: a terminal, whose user has not said no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def report(error: SpecError | SpecErrors, stream: TextIO | None = None) -> None:
    """A fault as text, in colour on a terminal."""
    stream = stream or sys.stderr
    text = render(error)
    if not styled(stream):
        written(text + "\n", stream)
        return
    from rich.console import Console  # only here: it takes a third of the time of a command

    Console(file=stream).print(painted(text), soft_wrap=True)


def painted(text: str) -> Text:
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


def bug(error: BaseException) -> Exit:
    """The message for what must not happen."""
    if os.environ.get("SPECBUILD_TRACEBACK") == "1":
        raise error
    log(f"error: this is a bug in specbuild, not in your spec: {type(error).__name__}: {error}")
    log("Please report it with the spec; SPECBUILD_TRACEBACK=1 shows where it happened.")
    return Exit.BUG

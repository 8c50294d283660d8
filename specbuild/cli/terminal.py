"""Output of all commands: results on stdout, the log on stderr, colour on terminals only, exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, TextIO

import typer

from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable
from specbuild.diagnostics.suggestions import suggest_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


MAX_WIDTH = "9999"  # characters in a line, and lines, of a terminal


class ExitCode(IntEnum):
    """The exit code of a command."""

    SUCCESS = 0
    CHECK_FAILED = 1  # a check found a problem, or a file was edited by hand
    USAGE = 2  # wrong command line
    INVALID = 3  # the spec has an error
    MISSING = 4  # a backend or a device is not available
    BUG = 70


EXIT_CODES = {
    "SB602": ExitCode.MISSING,
    "SB603": ExitCode.MISSING,
    "SB604": ExitCode.MISSING,
    "SB605": ExitCode.MISSING,
    "SB606": ExitCode.MISSING,
    "SB701": ExitCode.CHECK_FAILED,
    "SB702": ExitCode.USAGE,
    "SB703": ExitCode.USAGE,
    "SB704": ExitCode.CHECK_FAILED,
    "SB801": ExitCode.CHECK_FAILED,
    "SB803": ExitCode.USAGE,
    "SB804": ExitCode.CHECK_FAILED,
    "SB805": ExitCode.CHECK_FAILED,
    "SB806": ExitCode.USAGE,
    "SB807": ExitCode.CHECK_FAILED,
    "SB808": ExitCode.CHECK_FAILED,
    "SB809": ExitCode.CHECK_FAILED,
    "SB901": ExitCode.CHECK_FAILED,
    "SB902": ExitCode.CHECK_FAILED,
    "SB903": ExitCode.CHECK_FAILED,
    "SB904": ExitCode.CHECK_FAILED,
    "SB951": ExitCode.MISSING,
    "SB952": ExitCode.CHECK_FAILED,
    "SB953": ExitCode.USAGE,
    "SB954": ExitCode.MISSING,
}


def exit_code(error: SpecError | SpecErrors) -> ExitCode:
    """Return the exit code for one or several errors: the most serious one; an invalid spec comes first."""
    errors = error.errors if isinstance(error, SpecErrors) else (error,)
    codes = {EXIT_CODES.get(e.code, ExitCode.INVALID) for e in errors}
    by_severity = (ExitCode.INVALID, ExitCode.MISSING, ExitCode.USAGE, ExitCode.CHECK_FAILED)
    return next(code for code in by_severity if code in codes)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Raise SystemExit at SIGTERM and SIGHUP, so that temporary files are removed and processes are stopped.

    The exit code is that of a shell: 128 and the number of the signal. Signals that are ignored stay ignored.
    """

    def raise_exit(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if current_thread() is not main_thread():
        numbers = []  # only the main thread may set handlers
    replaced = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, raise_exit)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def print_text(text: str) -> None:
    """Write a result to stdout: always UTF-8, with line breaks unchanged, on every operating system."""
    write_text(text, sys.stdout)


def suggest_closest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of an error message: the known name that is most like `name`, or `otherwise`."""
    hint = suggest_name(name, known)
    return f"; {hint}" if hint else otherwise


def log_line(text: str) -> None:
    """Write one line to the log (stderr); control characters in `text` are escaped."""
    write_text(make_printable(text, 1000) + "\n", sys.stderr)


def write_text(text: str, stream: TextIO) -> None:
    try:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
    except BrokenPipeError:  # the reader closed the pipe: exit with the code of SIGPIPE
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise typer.Exit(141) from None
    except OSError as error:  # a full disk, or a closed stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is not sys.stderr:
            raise SpecError("SB702", f"cannot write the result: {error.strerror}") from None


def open_closed_streams() -> None:
    """Replace standard streams that the caller has closed: to read stdin or to write to stdout then fails."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def limit_width() -> None:
    """Limit the width that the environment gives the terminal: help is filled up to it."""
    for name in ("COLUMNS", "LINES"):
        text = os.environ.get(name, "")
        if len(text) > len(MAX_WIDTH) and text.isdecimal():
            os.environ[name] = MAX_WIDTH


def path_error(error: OSError) -> SpecError:
    """Return the error for a path that a command could neither read nor write."""
    path = make_printable(str(error.filename or "a file"))
    return SpecError("SB702", f"cannot use `{path}`: {make_printable(error.strerror or str(error))}")


def can_style(stream: TextIO) -> bool:
    """Return whether the stream is a terminal with colours that the user has not switched off."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plain_console() -> Console:
    """Return a console that colours only what it is asked to, and never reads markup in the text."""
    from rich.console import Console  # imported late: it takes a third of a command's run time

    return Console(markup=False, highlight=False, emoji=False)


def print_error(error: SpecError | SpecErrors, stream: TextIO | None = None) -> None:
    """Print errors as text, in colour on a terminal."""
    stream = stream or sys.stderr
    text = format_errors(error)
    if not can_style(stream):
        write_text(text + "\n", stream)
        return
    from rich.console import Console  # imported late: it takes a third of a command's run time

    Console(file=stream).print(highlight_error(text), soft_wrap=True)


def highlight_error(text: str) -> Text:
    """Return a formatted error with colours; the text is unchanged."""
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
    """Log an unexpected exception as a bug of specbuild or of an extension, or raise it if SPECBUILD_TRACEBACK=1."""
    if os.environ.get("SPECBUILD_TRACEBACK") == "1":
        raise error
    from specbuild.ops.extensions import find_failing_extension  # late: most commands need no op

    extension = find_failing_extension(error)
    culprit = "specbuild" if extension is None else f"the extension {extension!r}"
    log_line(f"error: this is a bug in {culprit}, not in your spec: {type(error).__name__}: {error}")
    log_line("Please report it with the spec; SPECBUILD_TRACEBACK=1 shows where it happened.")
    return ExitCode.BUG

"""The command line. Commands read options and print results; the work is done in the packages below."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from specbuild.cli.terminal import exit_code, print_error, print_text, report_bug
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.version import __version__

# In the order of `specbuild --help`. The module NAME defines NAME_command: a function or a typer group.
COMMANDS = (
    "check",
    "compile",
    "show",
    "draw",
    "diff",
    "parity",
    "schema",
    "init",
    "explain",
    "doctor",
    "weights",
    "library",
)


def print_version(requested: bool) -> None:
    if requested:
        print_text(f"specbuild {__version__}\n")
        raise typer.Exit


def global_options(
    requested: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def build_app(commands: Iterable[str]) -> typer.Typer:
    """Return the command-line program with these commands."""
    program = typer.Typer(
        name="specbuild",
        help="Named neural networks in YAML, compiled to native PyTorch and Keras source.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        epilog="Exit codes: 0: success, 1: a check found a problem, 2: wrong usage, 3: the spec is invalid, "
        "4: a backend or a device is missing, 70: a bug in specbuild.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(global_options)
    for name in commands:
        command = getattr(import_module(f"specbuild.cli.{name}"), f"{name}_command")
        if isinstance(command, typer.Typer):
            program.add_typer(command, name=name)
        else:
            program.command(name)(command)
    return program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = sys.argv[1:] if arguments is None else list(arguments)
    # Only the requested command is imported: all of them would double the start-up time.
    commands = args[:1] if args and args[0] in COMMANDS else COMMANDS
    # Nearly all objects live until the command ends. With the usual thresholds, the garbage collector would
    # take a third of the run time and free nothing.
    gc.set_threshold(50_000, 20, 100)
    try:
        build_app(commands)(args=args, prog_name="specbuild")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (SpecError, SpecErrors) as error:
        try:
            print_error(error)
        except typer.Exit as end:
            return end.exit_code
        return exit_code(error)
    except Exception as error:
        return report_bug(error)
    return 0

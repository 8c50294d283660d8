"""The command line. Commands read options and print results; the work is done in the packages below."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Annotated

import typer

from specbuild.cli.completion import completed_words
from specbuild.cli.terminal import (
    ExitCode,
    exit_code,
    exit_on_signals,
    limit_width,
    log_line,
    open_closed_streams,
    path_error,
    print_error,
    print_text,
    report_bug,
)
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.version import __version__

# In the order of `specbuild --help`, each with the first sentence of its help. The module NAME defines
# NAME_command: a function or a typer group.
COMMANDS = {
    "check": "Check specs: their syntax, every name, every shape.",
    "watch": "Check specs, and again each time that one of them or of their imports is saved.",
    "compile": "Compile specs to PyTorch or Keras source.",
    "expand": "Compile a spec with all combinations of parameter values and variants, and list the models in a manifest.",
    "show": "Show a model: its steps, their output shapes, parameters, multiply-adds and memory.",
    "draw": "Draw a model: its steps as boxes, and each block that it contains opened once.",
    "diff": "Compare two models: steps, connections, shapes, and which trained weights can be reused.",
    "parity": "Run the emitted files on the same inputs and weights, and compare every step.",
    "bench": "Measure the emitted files: seconds for a batch, samples per second, and memory, beside the counts.",
    "schema": "Print the JSON Schema of specs, for completion in editors.",
    "import": "Write a spec for an existing PyTorch model.",
    "convert": "Write a spec for a model file of Ultralytics (YOLOv8, YOLOv5u): its layers become named steps.",
    "init": "Write a small spec with comments, to start from.",
    "explain": "Explain an error code, or list all of them.",
    "doctor": "List what is installed, what is missing, and how to install it.",
    "weights": "Write initial weights, convert trained ones between frameworks, inspect and compare weight files.",
    "transform": "Change a model and its weights together, and prove that it stays the same.",
    "library": "The ops and blocks that steps can use.",
}

# Options that only some commands have and others are asked for: these commands, and what to write instead.
OPTIONS_OF_OTHERS = {
    "--block": (
        ("draw", "parity"),
        "for a block by itself, write `specbuild library show NAME --backend torch` (or keras), "
        "`specbuild draw --block NAME` or `specbuild parity --block NAME`",
    )
}

# `import` is a keyword of Python: no module can have its name.
MODULES = {"import": "importing"}


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


def build_app(commands: Collection[str]) -> typer.Typer:
    """Return the command-line program with these commands; with none, it only has the help of all commands."""
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
        module = MODULES.get(name, name)
        command = getattr(import_module(f"specbuild.cli.{module}"), f"{module}_command")
        if isinstance(command, typer.Typer):
            program.add_typer(command, name=name)
        else:
            program.command(name)(command)
    if not commands:
        for name, summary in COMMANDS.items():
            program.command(name, help=summary)(pass_by)
    return program


def pass_by() -> None:
    """Stand in for a command that the help lists and nothing calls."""


def requested_commands(args: Sequence[str]) -> Sequence[str]:
    """Return the commands to import: one, or none for the help. All of them would double the start-up time."""
    if args and args[0] in COMMANDS:
        return args[:1]
    words = completed_words()
    if words is not None:  # a shell completes: the words are not in `args`
        return words[:1] if words and words[0] in COMMANDS else ()
    needs_help = not args or args[0] in ("--version", "--help", "-h")
    return () if needs_help else tuple(COMMANDS)


def misplaced_option_hint(args: Sequence[str]) -> str:
    """Return which commands have an option that this one lacks, or an empty text."""
    for option, (commands, hint) in OPTIONS_OF_OTHERS.items():
        is_given = any(word == option or word.startswith(f"{option}=") for word in args[1:])
        if is_given and args[0] in COMMANDS and args[0] not in commands:
            return hint
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = sys.argv[1:] if arguments is None else list(arguments)
    open_closed_streams()
    limit_width()
    commands = requested_commands(args)
    # Nearly all objects live until the command ends. With the usual thresholds, the garbage collector would
    # take a third of the run time and free nothing.
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    atexit.register(gc.freeze)  # the last search for garbage, when Python ends, takes a fifth of the run time
    try:
        with exit_on_signals():
            if args == ["--version"]:  # at once: no command is built
                print_text(f"specbuild {__version__}\n")
                return 0
            build_app(commands)(args=args, prog_name="specbuild")
    except SystemExit as end:
        if end.code == ExitCode.USAGE and args and (hint := misplaced_option_hint(args)):
            log_line(f"hint: {hint}")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (SpecError, SpecErrors) as error:
        try:
            print_error(error)
        except typer.Exit as end:
            return end.exit_code
        return exit_code(error)
    except OSError as error:
        print_error(path_error(error))
        return ExitCode.USAGE
    except Exception as error:
        return report_bug(error)
    finally:
        gc.set_threshold(*thresholds)  # a caller may go on, with models in cycles that take gigabytes
    return 0

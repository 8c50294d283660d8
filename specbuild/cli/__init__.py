"""The command line: verbs that parse and print, and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from specbuild import __version__
from specbuild.cli.check import check
from specbuild.cli.compile import compile
from specbuild.cli.diff import diff
from specbuild.cli.doctor import doctor
from specbuild.cli.draw import draw
from specbuild.cli.explain import explain
from specbuild.cli.init import init
from specbuild.cli.library import library
from specbuild.cli.parity import parity
from specbuild.cli.schema import schema
from specbuild.cli.show import show
from specbuild.cli.terminal import bug, exit_code, out, report
from specbuild.cli.weights import weights
from specbuild.errors import SpecError, SpecErrors

app = typer.Typer(
    name="specbuild",
    help="Named neural networks in YAML, compiled to native PyTorch and Keras source.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Ends with 0: fine, 1: a check found something, 2: usage, 3: the spec is invalid, "
    "4: a backend or device is missing, 70: a bug of specbuild.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (check, compile, show, draw, diff, parity, schema, init, explain, doctor):
    app.command()(verb)
app.add_typer(weights, name="weights")
app.add_typer(library, name="library")


def print_version(wanted: bool) -> None:
    if wanted:
        out(f"specbuild {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="specbuild")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (SpecError, SpecErrors) as error:
        try:
            report(error)
        except typer.Exit as end:
            return end.exit_code
        return exit_code(error)
    except Exception as error:
        return bug(error)
    return 0

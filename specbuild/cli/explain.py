"""`specbuild explain`: what an error code means."""

from __future__ import annotations

from textwrap import wrap
from typing import Annotated

import typer
from msgspec import to_builtins

from specbuild.cli import options
from specbuild.cli.completion import complete_code
from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import print_text, suggest_closest
from specbuild.diagnostics.codes import CODES, Explanation
from specbuild.diagnostics.errors import make_printable

WIDTH = 88  # of the text, in characters


def explain_command(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE",
            help="An error code, such as SB101. Default: all.",
            autocompletion=complete_code,
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Explain an error code, or list all of them."""
    if as_json and (code is None or code.upper() in CODES):
        names = list(CODES) if code is None else [code.upper()]
        print_document("explain", {"codes": {name: to_builtins(CODES[name]) for name in names}})
        return
    if code is None:
        print_text("".join(f"{name}  {entry.title}\n" for name, entry in CODES.items()))
        return
    entry = CODES.get(code.upper())
    if entry is None:
        hint = suggest_closest(code.upper(), CODES)
        raise typer.BadParameter(f"there is no code {make_printable(code)!r}{hint}", param_hint="CODE")
    print_text("\n".join(explanation_lines(code.upper(), entry)) + "\n")


def explanation_lines(code: str, entry: Explanation) -> list[str]:
    lines = [f"{code}: {entry.title}", "", *wrap(entry.text, WIDTH)]
    if entry.example:
        lines += ["", "For example:", "", *(f"    {line}" for line in entry.example.splitlines())]
    return lines

"""`specbuild explain`: what an error code means."""

from __future__ import annotations

from textwrap import wrap
from typing import Annotated

import typer

from specbuild.cli.terminal import print_text
from specbuild.diagnostics.codes import CODES
from specbuild.diagnostics.errors import closest_match, make_printable

WIDTH = 88


def explain_command(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="Such as SB101; all of them if not given.", show_default=False),
    ] = None,
) -> None:
    """Explain an error code, or list them all."""
    if code is None:
        print_text("".join(f"{name}  {entry.title}\n" for name, entry in CODES.items()))
        return
    found = CODES.get(code.upper())
    if found is None:
        near = closest_match(code.upper(), CODES)
        raise typer.BadParameter(
            f"there is no code {make_printable(code)!r}" + (f"; did you mean {near}?" if near else ""),
            param_hint="CODE",
        )
    print_text("\n".join(format_explanation(code.upper(), found.title, found.text, found.example)) + "\n")


def format_explanation(code: str, title: str, text: str, example: str) -> list[str]:
    lines = [f"{code}: {title}", "", *wrap(text, WIDTH)]
    return (
        [*lines, "", "For example:", "", *(f"    {line}" for line in example.splitlines())]
        if example
        else lines
    )

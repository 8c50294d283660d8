"""`specbuild explain`: what an error code means."""

from __future__ import annotations

from textwrap import wrap
from typing import Annotated

import typer

from specbuild.cli.terminal import out
from specbuild.diagnostics.codes import CODES
from specbuild.diagnostics.errors import nearest, printable

WIDTH = 88


def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="Such as SB101; all of them if not given.", show_default=False),
    ] = None,
) -> None:
    """Explain an error code, or list them all."""
    if code is None:
        out("".join(f"{name}  {entry.title}\n" for name, entry in CODES.items()))
        return
    found = CODES.get(code.upper())
    if found is None:
        near = nearest(code.upper(), CODES)
        raise typer.BadParameter(
            f"there is no code {printable(code)!r}" + (f"; did you mean {near}?" if near else ""),
            param_hint="CODE",
        )
    out("\n".join(page(code.upper(), found.title, found.text, found.example)) + "\n")


def page(code: str, title: str, text: str, example: str) -> list[str]:
    lines = [f"{code}: {title}", "", *wrap(text, WIDTH)]
    return (
        [*lines, "", "For example:", "", *(f"    {line}" for line in example.splitlines())]
        if example
        else lines
    )

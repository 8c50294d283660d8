"""`specbuild diff`: what became of one model in another."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from specbuild.api import Model, built
from specbuild.cli import options
from specbuild.cli.draw import written
from specbuild.cli.terminal import Exit, log, out, styled
from specbuild.compiler.arguments import Choice, Given, from_flags
from specbuild.compiler.pipeline import opened
from specbuild.diagnostics.errors import Place, SpecError, SpecErrors, printable
from specbuild.frontend.names import IDENTIFIER

if TYPE_CHECKING:
    from specbuild.diagram import Look
    from specbuild.diff.report import Told

STYLES = {
    "added": "green",
    "removed": "red",
    "gone": "red",
    "changed": "yellow",
    "reshaped": "yellow",
    "rewired": "magenta",
    "renamed": "cyan",
    "moved": "cyan",
    "param": "dim",
}


class Side(NamedTuple):
    """One of the two, as it was named: a file or -, and a variant."""

    label: str
    file: str
    variant: str | None
    settings: list[str]

    @property
    def given(self) -> Given:
        """What was chosen for it, and where that was said."""
        found = from_flags(self.settings, None, f"--set-{self.label.lower()}")
        if self.variant is None:
            return found
        said = f"{self.file}@{self.variant}"
        return replace(found, variant=Choice(self.variant, Place(self.label, 1, len(self.file) + 2, said)))

    @property
    def said(self) -> str:
        file = "<stdin>" if self.file == "-" else self.file
        return printable(f"{file}@{self.variant}" if self.variant else file)

    @property
    def short(self) -> str:
        """The same without folders."""
        return self.said.rpartition("/")[2]


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A spec file, or file@variant; - reads standard input.", show_default=False
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What became of it, likewise.", show_default=False)],
    set_a: Annotated[
        list[str] | None,
        typer.Option(
            "--set-a",
            metavar="NAME=VALUE",
            help="The value of a parameter of A; may be given again.",
            show_default=False,
        ),
    ] = None,
    set_b: Annotated[
        list[str] | None,
        typer.Option(
            "--set-b",
            metavar="NAME=VALUE",
            help="The value of a parameter of B; may be given again.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything, step by step, as one JSON document.")
    ] = False,
    picture: Annotated[
        str | None,
        typer.Option(
            "--draw",
            metavar="PATH",
            help="Draw both models as one as well; the ending is the format: .svg, .png, .pdf, .dot, .mmd.",
            show_default=False,
        ),
    ] = None,
    root: options.Root = None,
) -> None:
    """Compare two models: steps, wiring, sizes, and which trained weights survive.

    Ends with 0 if they are the same, with 1 if they differ.

    Two variants: specbuild diff net.yaml@small net.yaml@large

    Two revisions: git show HEAD:net.yaml | specbuild diff - net.yaml
    """
    format = drawable(picture)
    sides = side("A", a, set_a or []), side("B", b, set_b or [])
    options.once([s.file for s in sides])
    models, faults = [], []
    for mine, other in (sides, sides[::-1]):
        try:
            models.append(model(mine, other, root))
        except SpecError as error:
            faults.append(error)
        except SpecErrors as errors:
            faults += errors.errors
    if faults:
        raise SpecErrors({str(fault): fault for fault in faults}.values())
    from specbuild.diff import diff as compared
    from specbuild.diff import document, report

    found = compared(*(m.graph for m in models))
    if as_json:
        named = dict(zip(("a", "b"), (s.said for s in sides), strict=True))
        out(json.dumps({**named, **document(found)}, indent=2) + "\n")
    elif styled(sys.stdout):
        draw(report(found, *(s.said for s in sides)))
    else:
        out("".join(f"{line}\n" for line in report(found, *(s.said for s in sides))))
    if picture is not None:
        written(Path(picture), found.picture(format, look=titled(sides), log=log))
    if not found.equal:
        raise typer.Exit(Exit.FOUND)


def drawable(path: str | None) -> str:
    """The format that a path asks for, before anything else is done; none for no path."""
    if path is None:
        return ""
    from specbuild.diagram import format_of  # only here: most compare without a picture

    return format_of(path)


def titled(sides: tuple[Side, Side]) -> Look:
    from specbuild.diagram import Look  # only here, as above

    return Look(title=" → ".join(dict.fromkeys(side.short for side in sides)))


def side(label: str, said: str, settings: list[str]) -> Side:
    """`file@variant` apart; a file of the whole name is itself."""
    file, _, variant = said.rpartition("@")
    apart = file and IDENTIFIER.fullmatch(variant) and not Path(said).exists()
    return Side(label, file, variant, settings) if apart else Side(label, said, None, settings)


def model(mine: Side, other: Side, root: Path | None) -> Model:
    """A side's model; what comes from standard input imports as the other side's file does."""
    beside = Path(other.file) if mine.file == "-" and other.file != "-" else None
    return built(*opened(options.source(mine.file), root, beside), mine.given)


def draw(lines: list[Told]) -> None:
    """The report on a terminal: what happened is told by its word, and by a colour beside."""
    from rich.console import Console  # only here: it takes a third of the time of a command
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    for line in lines:
        text = Text(str(line))
        if line.word:
            text.stylize(STYLES.get(line.word, ""), 0, len(line.word))
        console.print(text, soft_wrap=True)

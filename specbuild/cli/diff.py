"""`specbuild diff`: what became of one model in another."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from specbuild.api import Model, build_model
from specbuild.cli import options
from specbuild.cli.draw import save_picture
from specbuild.cli.terminal import ExitCode, can_style, log_line, print_text
from specbuild.compiler.arguments import SpecArgument, SpecArguments, arguments_from_flags
from specbuild.compiler.pipeline import open_spec
from specbuild.diagnostics.errors import Location, SpecError, SpecErrors, make_printable
from specbuild.frontend.names import IDENTIFIER

if TYPE_CHECKING:
    from specbuild.diagram import DrawingStyle
    from specbuild.diff.report import ReportLine

CHANGE_STYLES = {
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


class DiffSide(NamedTuple):
    """One of the two, as it was named: a file or -, and a variant."""

    label: str
    file: str
    variant: str | None
    settings: list[str]

    @property
    def arguments(self) -> SpecArguments:
        """What was chosen for it, and where that was said."""
        found = arguments_from_flags(self.settings, None, f"--set-{self.label.lower()}")
        if self.variant is None:
            return found
        said = f"{self.file}@{self.variant}"
        return replace(
            found, variant=SpecArgument(self.variant, Location(self.label, 1, len(self.file) + 2, said))
        )

    @property
    def display_name(self) -> str:
        file = "<stdin>" if self.file == "-" else self.file
        return make_printable(f"{file}@{self.variant}" if self.variant else file)

    @property
    def short_name(self) -> str:
        """The same without folders."""
        return self.display_name.rpartition("/")[2]


def diff_command(
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
    format = picture_format(picture)
    sides = parse_side("A", a, set_a or []), parse_side("B", b, set_b or [])
    options.check_stdin_once([s.file for s in sides])
    models, faults = [], []
    for mine, other in (sides, sides[::-1]):
        try:
            models.append(load_side(mine, other, root))
        except SpecError as error:
            faults.append(error)
        except SpecErrors as errors:
            faults += errors.errors
    if faults:
        raise SpecErrors({str(fault): fault for fault in faults}.values())
    from specbuild.diff import diff_document, report_lines
    from specbuild.diff import diff_models as compared

    found = compared(*(m.graph for m in models))
    if as_json:
        named = dict(zip(("a", "b"), (s.display_name for s in sides), strict=True))
        print_text(json.dumps({**named, **diff_document(found)}, indent=2) + "\n")
    elif can_style(sys.stdout):
        print_report(report_lines(found, *(s.display_name for s in sides)))
    else:
        print_text("".join(f"{line}\n" for line in report_lines(found, *(s.display_name for s in sides))))
    if picture is not None:
        save_picture(Path(picture), found.picture(format, look=picture_style(sides), log=log_line))
    if not found.equal:
        raise typer.Exit(ExitCode.FOUND)


def picture_format(path: str | None) -> str:
    """The format that a path asks for, before anything else is done; none for no path."""
    if path is None:
        return ""
    from specbuild.diagram import format_from_path  # only here: most compare without a picture

    return format_from_path(path)


def picture_style(sides: tuple[DiffSide, DiffSide]) -> DrawingStyle:
    from specbuild.diagram import DrawingStyle  # only here, as above

    return DrawingStyle(title=" → ".join(dict.fromkeys(side.short_name for side in sides)))


def parse_side(label: str, text: str, settings: list[str]) -> DiffSide:
    """`file@variant` apart; a file of the whole name is itself."""
    file, _, variant = text.rpartition("@")
    apart = file and IDENTIFIER.fullmatch(variant) and not Path(text).exists()
    return DiffSide(label, file, variant, settings) if apart else DiffSide(label, text, None, settings)


def load_side(mine: DiffSide, other: DiffSide, root: Path | None) -> Model:
    """A side's model; what comes from standard input imports as the other side's file does."""
    beside = Path(other.file) if mine.file == "-" and other.file != "-" else None
    return build_model(*open_spec(options.spec_source(mine.file), root, beside), mine.arguments)


def print_report(lines: list[ReportLine]) -> None:
    """The report on a terminal: what happened is told by its word, and by a colour beside."""
    from rich.console import Console  # only here: it takes a third of the time of a command
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    for line in lines:
        text = Text(str(line))
        if line.label:
            text.stylize(CHANGE_STYLES.get(line.label, ""), 0, len(line.label))
        console.print(text, soft_wrap=True)

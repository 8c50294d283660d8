"""`specbuild diff`: compare two models."""

from __future__ import annotations

import os.path
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from msgspec.structs import replace

from specbuild.api import Model, build_model
from specbuild.cli import options
from specbuild.cli.draw import save_picture
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import ExitCode, can_style, log_line, plain_console, print_text
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
    "changed": "yellow",
    "reshaped": "yellow",
    "rewired": "magenta",
    "renamed": "cyan",
    "moved": "cyan",
    "param": "dim",
}


class DiffSide(NamedTuple):
    """One of the two models, as given on the command line: a file or `-`, and a variant."""

    label: str  # A or B
    file: str
    variant: str | None
    settings: list[str]

    @property
    def arguments(self) -> SpecArguments:
        """The variant and the parameters, with their locations on the command line."""
        arguments = arguments_from_flags(self.settings, None, f"--set-{self.label.lower()}")
        if self.variant is None:
            return arguments
        location = Location(self.label, 1, len(self.file) + 2, f"{self.file}@{self.variant}")
        return replace(arguments, variant=SpecArgument(self.variant, location))

    @property
    def display_name(self) -> str:
        file = "<stdin>" if self.file == "-" else self.file
        return make_printable(f"{file}@{self.variant}" if self.variant else file)

    @property
    def short_name(self) -> str:
        """The display name without folders."""
        return self.display_name.rpartition("/")[2]


Before = Annotated[
    str,
    typer.Argument(
        metavar="A", help="The first model: a spec file, or file@variant; - reads stdin.", show_default=False
    ),
]
After = Annotated[
    str, typer.Argument(metavar="B", help="The model to compare it with, likewise.", show_default=False)
]
SetA = Annotated[
    list[str] | None,
    typer.Option(
        "--set-a",
        metavar="NAME=VALUE",
        help="Set a parameter of A. Repeat for more parameters.",
        show_default=False,
    ),
]
SetB = Annotated[
    list[str] | None,
    typer.Option(
        "--set-b",
        metavar="NAME=VALUE",
        help="Set a parameter of B. Repeat for more parameters.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print all changes as one JSON document.")]
Picture = Annotated[
    str | None,
    typer.Option(
        "--draw",
        metavar="PATH",
        help="Also draw the changes; the suffix sets the format: .svg, .html, .png, .pdf, .dot, .mmd.",
        show_default=False,
    ),
]


def diff_command(
    a: Before,
    b: After,
    set_a: SetA = None,
    set_b: SetB = None,
    as_json: AsJson = False,
    picture: Picture = None,
    root: options.Root = None,
) -> None:
    """Compare two models: steps, connections, shapes, and which trained weights can be reused.

    Exits with 0 if they are equal, with 1 if they differ.

    Two variants: specbuild diff net.yaml@small net.yaml@large

    Two revisions: git show HEAD:net.yaml | specbuild diff - net.yaml
    """
    format = picture_format(picture)
    sides = parse_side("A", a, set_a or []), parse_side("B", b, set_b or [])
    options.check_stdin_once([side.file for side in sides])
    with print_errors_as_json("diff", as_json):
        models = load_sides(sides, root)
    from specbuild.diff import diff_document, diff_models, report_lines  # imported late: parsing comes first

    comparison = diff_models(*(model.graph for model in models))
    names = [side.display_name for side in sides]
    if as_json:
        print_document("diff", {"a": names[0], "b": names[1], **diff_document(comparison)})
    elif can_style(sys.stdout):
        print_changes(report_lines(comparison, *names))
    else:
        print_text("".join(f"{line}\n" for line in report_lines(comparison, *names)))
    if picture is not None:
        drawn = comparison.picture(format, look=picture_style(sides), log=log_line)
        log_line(f"{'wrote' if save_picture(Path(picture), drawn) else 'unchanged'} {picture}")
    if not comparison.equal:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def picture_format(path: str | None) -> str:
    """Return the format of a path, or an empty text for no path; raises SB702 before any work is done."""
    if path is None:
        return ""
    from specbuild.diagram import format_from_path  # imported late: most comparisons are not drawn

    return format_from_path(path)


def picture_style(sides: tuple[DiffSide, DiffSide]) -> DrawingStyle:
    from specbuild.diagram import DrawingStyle  # imported late, as above

    return DrawingStyle(title=" → ".join(dict.fromkeys(side.short_name for side in sides)))


def parse_side(label: str, text: str, settings: list[str]) -> DiffSide:
    """Split `file@variant`; if a file with the whole text as its name exists, it is the file."""
    file, _, variant = text.rpartition("@")
    has_variant = file and IDENTIFIER.fullmatch(variant) and not os.path.exists(text)
    return DiffSide(label, file, variant, settings) if has_variant else DiffSide(label, text, None, settings)


def load_sides(sides: tuple[DiffSide, DiffSide], root: Path | None) -> list[Model]:
    """Load both models; the errors of both are raised together, each only once."""
    models: list[Model] = []
    errors: list[SpecError] = []
    for side, other in (sides, sides[::-1]):
        try:
            models.append(load_side(side, other, root))
        except SpecError as error:
            errors.append(error)
        except SpecErrors as error:
            errors += error.errors
    if errors:
        raise SpecErrors({str(error): error for error in errors}.values())
    return models


def load_side(side: DiffSide, other: DiffSide, root: Path | None) -> Model:
    """Load the model of a side. A spec on stdin imports files as if it lay beside the other side's file."""
    beside = Path(other.file) if side.file == "-" and other.file != "-" else None
    return build_model(*open_spec(options.spec_source(side.file), root, beside), side.arguments)


def print_changes(lines: list[ReportLine]) -> None:
    """Print the report to a terminal: the label of each line is coloured by the kind of change."""
    from rich.text import Text

    console = plain_console()
    for line in lines:
        text = Text(str(line))
        if line.label:
            text.stylize(CHANGE_STYLES.get(line.label, ""), 0, len(line.label))
        console.print(text, soft_wrap=True)

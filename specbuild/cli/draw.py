"""`specbuild draw`: draw a model, or a block of the library."""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from specbuild.cli import options
from specbuild.cli.completion import complete_block, complete_open
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import log_line, print_text
from specbuild.compiler.output_files import write_error, write_picture
from specbuild.diagnostics.errors import make_printable
from specbuild.frontend.names import to_snake_case

if TYPE_CHECKING:
    from specbuild.diagram import DetailLevel, DrawingStyle
    from specbuild.frontend.document import BlockDef

PICTURE_SUFFIXES = (
    ".svg",
    ".html",
    ".png",
    ".pdf",
    ".dot",
    ".gv",
    ".mmd",
)  # existing files that may be overwritten


def check_depth(value: str) -> str:
    """Return the value if it is a number of levels, `all`, or empty."""
    if value in ("", "all") or (
        value.isascii() and value.isdigit() and len(value) < 5 and 0 < int(value) < 100
    ):
        return value
    raise typer.BadParameter(f"{make_printable(value)!r} is neither a number from 1 to 99 nor all")


def check_url(value: str) -> str:
    """Return the value if it is the start of a URL, or empty."""
    if not value or (value.startswith(("https://", "http://")) and value.isprintable() and " " not in value):
        return value
    raise typer.BadParameter(f"{make_printable(value)!r} does not start with https://")


def check_width(value: str) -> str:
    """Return the value if it is a width on paper, or empty."""
    from specbuild.diagram.print_size import parse_width

    if value and parse_width(value) is None:
        raise typer.BadParameter(
            f"{make_printable(value)!r} is not a width such as 3.3in, 7in, 84mm or 240pt"
        )
    return value


OptionalSpec = Annotated[
    str | None, typer.Argument(metavar="SPEC", help="A spec file; - reads stdin.", show_default=False)
]
Target = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="The output file; its suffix sets the format. - is stdout.",
        show_default="the model's name, .svg",
    ),
]
PictureFormat = Annotated[
    Literal["svg", "html", "png", "pdf", "dot", "mermaid"] | None,
    typer.Option(help="The format of the picture.", show_default=False),
]
LibraryBlock = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Draw this block of the library.",
        autocompletion=complete_block,
        show_default=False,
    ),
]
Open = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="Draw one block of the model, such as layer1.0.",
        autocompletion=complete_open,
    ),
]
Depth = Annotated[
    str,
    typer.Option(
        metavar="N|all",
        help="How many levels of blocks to show; 1: only the steps of the model.",
        callback=check_depth,
        show_default="what fits on a page",
    ),
]
Ops = Annotated[
    bool, typer.Option("--ops", help="Draw every op in its own box; with --depth all, also in all blocks.")
]
Direction = Annotated[Literal["LR", "TB"], typer.Option(help="Left to right, or top to bottom.")]
Theme = Annotated[
    Literal["auto", "light", "dark"],
    typer.Option(help="The colours. auto follows the reader's browser, in SVG only."),
]
Title = Annotated[str, typer.Option(metavar="TEXT", help="The title. Default: the model's name.")]
Width = Annotated[
    str,
    typer.Option(
        metavar="WIDTH",
        help="The width on paper, such as 3.3in (a column), 7in (a page) or 84mm. No text is smaller than 6 pt.",
        callback=check_width,
    ),
]
Counts = Annotated[bool, typer.Option("--counts/--no-counts", help="Show parameters and multiply-adds.")]
Legend = Annotated[bool, typer.Option("--legend/--no-legend", help="Explain colours and signs at the end.")]
Nested = Annotated[
    bool, typer.Option("--nested", help="Draw each block inside the first box that uses it, not below.")
]
LinkBase = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Link each box of an SVG to its line of the spec under this URL.",
        callback=check_url,
    ),
]


# Many parameters: typer reads the options of a command from its signature.
def draw_command(
    spec: OptionalSpec = None,
    target: Target = None,
    format: PictureFormat = None,
    block: LibraryBlock = None,
    open: Open = "",
    depth: Depth = "",
    ops: Ops = False,
    direction: Direction = "LR",
    theme: Theme = "auto",
    title: Title = "",
    width: Width = "",
    counts: Counts = True,
    legend: Legend = True,
    nested: Nested = False,
    link_base: LinkBase = "",
    as_json: options.Json = False,
    variant: options.Variant = None,
    settings: options.Settings = None,
    root: options.Root = None,
) -> None:
    """Draw a model: its steps as boxes, and each block that it contains opened once.

    SVG, PNG, PDF, DOT or Mermaid. DOT and Mermaid need no Graphviz. HTML is one page that folds, zooms and can be
    searched; it has all blocks.
    """
    from specbuild.diagram import (  # imported late: most commands draw nothing
        NESTED_FORMATS,
        DetailLevel,
        DrawingStyle,
        format_from_path,
    )
    from specbuild.diagram.print_size import parse_width

    if (spec is None) == (block is None):
        raise typer.BadParameter("give a spec, or a block of the library with --block", param_hint="SPEC")
    picture_format = format or ("svg" if target in (None, "-") else format_from_path(str(target)))
    if format and target not in (None, "-"):
        check_suffix(str(target), format)
    if nested and picture_format not in NESTED_FORMATS:
        raise typer.BadParameter(
            f"{picture_format} has no frames: write svg, png or pdf", param_hint="--nested"
        )
    levels = None if not depth else 99 if depth == "all" else int(depth)
    detail = DetailLevel(levels, open, ops)
    style = DrawingStyle(
        direction,
        theme,
        title,
        link_base,
        width=parse_width(width),
        shows_counts=counts,
        has_legend=legend,
        is_nested=nested,
    )
    if as_json and target == "-":
        raise typer.BadParameter("stdout is for the document; give the picture a file", param_hint="--output")
    notes: list[str] = []
    log = notes.append if as_json else log_line
    with print_errors_as_json("draw", as_json):
        if block is not None:
            entry = options.library_block(block)
            name, data = entry.name, render_block(entry, picture_format, detail, style, log)
        else:
            model = options.load_model(str(spec), variant, settings, root)
            name, data = model.name, model.picture(picture_format, detail, style, log)
        if target == "-":
            print_picture(data, picture_format)
            return
        suffix = "mmd" if picture_format == "mermaid" else picture_format
        path = Path(target or f"{to_snake_case(name)}.{suffix}")
        is_new = save_picture(path, data)
    if as_json:
        file = make_printable(str(path), 4096)
        content = {"model": name, "file": file, "format": picture_format, "is_new": is_new, "notes": notes}
        print_document("draw", content)
    else:
        log_line(f"{'wrote' if is_new else 'unchanged'} {path}")


def check_suffix(target: str, format: str) -> None:
    """Refuse a path whose suffix stands for another format than --format."""
    from specbuild.diagram import SUFFIX_FORMATS

    named = SUFFIX_FORMATS.get(Path(target).suffix.lower(), format)
    if named != format:
        suffix = next(suffix for suffix, known in SUFFIX_FORMATS.items() if known == format)
        other = Path(target).with_suffix(suffix)
        raise typer.BadParameter(
            f"{make_printable(target)} is the name of a file in the format {named}, not {format}; leave --format "
            f"out, or write -o {make_printable(str(other))}",
            param_hint="--format",
        )


def save_picture(path: Path, data: bytes) -> bool:
    """Write a picture to a file, and return whether the file changed. Raises SB702 if it may be no picture."""
    if os.path.exists(path) and path.suffix.lower() not in PICTURE_SUFFIXES:
        raise write_error(path, "a file exists there that may not be a picture", "give another path")
    return write_picture(path, data)


def render_block(
    entry: BlockDef, format: str, detail: DetailLevel, style: DrawingStyle, log: Callable[[str], None]
) -> bytes:
    """Draw a block of the library by itself, with inputs of typical sizes."""
    from specbuild.diagram.model_diagram import render_picture
    from specbuild.ir.graph import Block

    [node] = options.standalone_model(entry).graph.nodes
    assert isinstance(node.op, Block)
    return render_picture(node.op, format, detail, style, log)


def print_picture(data: bytes, format: str) -> None:
    """Write a picture to stdout; a binary format on a terminal is a usage error."""
    if format not in ("png", "pdf"):
        print_text(data.decode())
    elif sys.stdout.isatty():
        raise typer.BadParameter(f"a terminal cannot show {format}; give a file", param_hint="--output")
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()

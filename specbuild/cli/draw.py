"""`specbuild draw`: a model, or a block of the library, as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from specbuild.cli import options
from specbuild.cli.terminal import log_line, print_text
from specbuild.compiler import output_files as output
from specbuild.diagnostics.errors import make_printable
from specbuild.frontend.names import to_snake_case

if TYPE_CHECKING:
    from specbuild.diagram import DetailLevel, DrawingStyle
    from specbuild.frontend.document import BlockDef

PICTURE_SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".gv", ".mmd")  # of files that are drawings


def check_depth(value: str) -> str:
    """A number of levels, or all."""
    if value in ("", "all") or (value.isascii() and value.isdigit() and 0 < int(value) < 100):
        return value
    raise typer.BadParameter(f"{make_printable(value)!r} is neither a number from 1 to 99 nor all")


def check_url(value: str) -> str:
    """The start of a web address."""
    if not value or (value.startswith(("https://", "http://")) and value.isprintable() and " " not in value):
        return value
    raise typer.BadParameter(f"{make_printable(value)!r} does not start with https://")


def draw_command(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", help="A spec file; - reads standard input.", show_default=False),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The file; its ending is the format. - is standard output.",
            show_default="the model's name, .svg",
        ),
    ] = None,
    format: Annotated[
        Literal["svg", "png", "pdf", "dot", "mermaid"] | None,
        typer.Option(help="What is written.", show_default=False),
    ] = None,
    block: Annotated[
        str | None, typer.Option(metavar="NAME", help="Draw this block of the library.", show_default=False)
    ] = None,
    open: Annotated[
        str, typer.Option(metavar="PATH", help="Draw one block of the model, such as layer1.0.")
    ] = "",
    depth: Annotated[
        str,
        typer.Option(
            metavar="N|all",
            help="Levels of blocks that are opened; 1: none.",
            callback=check_depth,
            show_default="a page",
        ),
    ] = "",
    ops: Annotated[bool, typer.Option("--ops", help="Draw every op in its own box, at every level.")] = False,
    direction: Annotated[Literal["LR", "TB"], typer.Option(help="To the right, or down.")] = "LR",
    theme: Annotated[
        Literal["auto", "light", "dark"], typer.Option(help="auto: as the reader's browser is; SVG only.")
    ] = "auto",
    title: Annotated[str, typer.Option(metavar="TEXT", help="Instead of the model's name.")] = "",
    link_base: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Each box of an SVG leads to its line of the spec below this address.",
            callback=check_url,
        ),
    ] = "",
    variant: options.Variant = None,
    settings: options.Settings = None,
    root: options.Root = None,
) -> None:
    """Draw a model: its steps as boxes, and each block that it is made of once, opened.

    SVG, PNG, PDF, DOT or Mermaid. DOT and Mermaid need no Graphviz.
    """
    from specbuild.diagram import (  # only here: no other command draws
        DetailLevel,
        DrawingStyle,
        format_from_path,
    )

    if (spec is None) == (block is None):
        raise typer.BadParameter("name a spec, or a block of the library with --block", param_hint="SPEC")
    chosen = format or ("svg" if target in (None, "-") else format_from_path(str(target)))
    levels = None if not depth else 99 if depth == "all" else int(depth)
    detail, look = DetailLevel(levels, open, ops), DrawingStyle(direction, theme, title, link_base)
    if block is not None:
        entry = options.library_block(block)
        name, data = entry.name, render_block(entry, chosen, detail, look)
    else:
        model = options.load_model(str(spec), variant, settings, root)
        name = model.name
        data = model.picture(chosen, detail, look, log_line)
    if target == "-":
        print_picture(data, chosen)
        return
    save_picture(Path(target or f"{to_snake_case(name)}.{ {'mermaid': 'mmd'}.get(chosen, chosen) }"), data)


def save_picture(path: Path, data: bytes) -> None:
    """A picture in its file, which is told."""
    if path.exists() and path.suffix.lower() not in PICTURE_SUFFIXES:
        raise output.write_error(path, "there is a file that may be no drawing", "give another path")
    log_line(f"{'wrote' if output.write_picture(path, data) else 'unchanged'} {path}")


def render_block(entry: BlockDef, format: str, detail: DetailLevel, look: DrawingStyle) -> bytes:
    """A block of the library by itself, with usual sizes."""
    from specbuild.diagram.model_diagram import render_picture
    from specbuild.ir.graph import Block

    [node] = options.standalone_model(entry).nodes
    assert isinstance(node.op, Block)
    return render_picture(node.op, format, detail, look, log_line)


def print_picture(data: bytes, format: str) -> None:
    """A picture to standard output, unless that is a terminal and the picture no text."""
    if format not in ("png", "pdf"):
        print_text(data.decode())
    elif sys.stdout.isatty():
        raise typer.BadParameter(f"a terminal shows no {format}; name a file", param_hint="--output")
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()

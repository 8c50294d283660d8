"""`specbuild convert`: a spec from a model file of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import log_line, print_text
from specbuild.compiler.output_files import create_file, replace_file
from specbuild.diagnostics.errors import make_printable
from specbuild.frontend.source import Source

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A model file of Ultralytics, such as yolov8.yaml.", show_default=False
    ),
]
Target = Annotated[
    str,
    typer.Option("--output", "-o", metavar="PATH", help="The spec to write; - is stdout."),
]
Scale = Annotated[
    str, typer.Option(metavar="NAME", help="The scale, such as n or s. Default: the first of the file.")
]
Name = Annotated[str, typer.Option(metavar="NAME", help="The name of the model. Default: from the scale.")]
Size = Annotated[int, typer.Option(min=32, max=65_536, help="Height and width of the image.")]


def convert_command(
    file: File,
    target: Target = "-",
    scale: Scale = "",
    name: Name = "",
    size: Size = 640,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Write a spec for a model file of Ultralytics (YOLOv8, YOLOv5u): its layers become named steps.

    The file is only read: nothing of Ultralytics needs to be installed. A module that has no step is refused with
    its line.
    """
    from specbuild.importing.ultralytics import convert_model  # imported late: it imports all ops

    with print_errors_as_json("convert", as_json):
        text = convert_model(Source.read(file), name, scale, size)
        if target != "-":
            (replace_file if force else create_file)(Path(target), text)
    if as_json:
        written = None if target == "-" else make_printable(target, 4096)
        print_document("convert", {"file": written, "spec": text})
        return
    if target == "-":
        print_text(text)
        return
    log_line(f"wrote {target}")
    log_line(f"next: specbuild check {target}, then: specbuild draw {target}")

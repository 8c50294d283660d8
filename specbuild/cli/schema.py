"""`specbuild schema`: the JSON Schema with which editors complete and check specs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.terminal import log_line, print_text
from specbuild.compiler.output_files import read_output, replace_file, write_error
from specbuild.compiler.pipeline import open_spec
from specbuild.frontend.editor_schema import build_editor_schema, schema_to_json


def schema_command(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC", help="A spec: its blocks and imports are added to the schema.", show_default=False
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option("--output", "-o", metavar="PATH", help="The output file, ending in .json. - is stdout."),
    ] = "-",
    root: options.Root = None,
) -> None:
    """Print the JSON Schema of specs, for completion in editors.

    Save it beside your specs with "-o specbuild.schema.json", and put this line at the start of each of them:
    "# yaml-language-server: $schema=./specbuild.schema.json".
    """
    arguments = () if spec is None else open_spec(options.spec_source(spec), root)
    text = schema_to_json(build_editor_schema(*arguments))
    if target == "-":
        print_text(text)
    else:
        save_schema(Path(target), text)


def save_schema(path: Path, text: str) -> None:
    """Write a schema to a file atomically, and log the path. Raises SB702 if the existing file may be no schema."""
    current = read_output(path)
    if current != "" and path.suffix.lower() != ".json":
        raise write_error(
            path, "a file exists there that may not be a schema", "give a path that ends in .json"
        )
    if current != text:
        replace_file(path, text)
    log_line(f"{'unchanged' if current == text else 'wrote'} {path}")

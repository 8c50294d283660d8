"""`specbuild schema`: the JSON Schema by which editors complete and check specs."""

from __future__ import annotations

from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.terminal import print_text
from specbuild.compiler.pipeline import open_spec
from specbuild.frontend.editor_schema import build_editor_schema, schema_to_json


def schema_command(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC", help="A spec whose own blocks and imports are added.", show_default=False
        ),
    ] = None,
    root: options.Root = None,
) -> None:
    """Print the JSON Schema of specs, for completion in an editor.

    Save it beside your specs, and begin each of them with the line
    "# yaml-language-server: $schema=./specbuild.schema.json".
    """
    print_text(
        schema_to_json(
            build_editor_schema(*open_spec(options.spec_source(spec), root))
            if spec is not None
            else build_editor_schema()
        )
    )

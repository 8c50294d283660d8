"""`specbuild schema`: the JSON Schema with which editors complete and check specs."""

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
            metavar="SPEC", help="A spec: its blocks and imports are added to the schema.", show_default=False
        ),
    ] = None,
    root: options.Root = None,
) -> None:
    """Print the JSON Schema of specs, for completion in editors.

    Save it beside your specs, and put this line at the start of each of them:
    "# yaml-language-server: $schema=./specbuild.schema.json".
    """
    arguments = () if spec is None else open_spec(options.spec_source(spec), root)
    print_text(schema_to_json(build_editor_schema(*arguments)))

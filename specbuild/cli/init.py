"""`specbuild init`: write a spec to start from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.completion import Completion, name_only, offer_values
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import log_line, print_text, suggest_closest
from specbuild.compiler.output_files import create_file
from specbuild.diagnostics.errors import make_printable

TEMPLATES = {path.stem: path for path in sorted(Path(__file__).with_name("templates").glob("*.yaml"))}


@offer_values
def complete_template(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    return name_only(TEMPLATES)


def check_template(name: str) -> str:
    """Return the name if it is a template."""
    if name in TEMPLATES:
        return name
    hint = suggest_closest(name, TEMPLATES)
    raise typer.BadParameter(f"{make_printable(name)!r} is not one of {', '.join(TEMPLATES)}{hint}")


def init_command(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The file to write; - is stdout.")
    ] = "model.yaml",
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "-t",
            metavar="|".join(TEMPLATES),
            help="The kind of model.",
            autocompletion=complete_template,
            callback=check_template,
        ),
    ] = "image",
    as_json: options.Json = False,
) -> None:
    """Write a small spec with comments, to start from."""
    text = TEMPLATES[template].read_text(encoding="utf-8")
    if path != "-":
        text = text.replace("model.yaml", make_printable(path))  # in the commands of its comments
        with print_errors_as_json("init", as_json):
            create_file(Path(path), text)
    if as_json:
        written = None if path == "-" else make_printable(path, 4096)
        print_document("init", {"file": written, "template": template, "spec": text})
        return
    if path == "-":
        print_text(text)
        return
    log_line(f"wrote {path}")
    log_line(f"next: specbuild show {path}, then: specbuild compile {path} --backend torch")

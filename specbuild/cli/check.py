"""`specbuild check`: find the errors of specs."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from specbuild.api import build_model
from specbuild.backends import BACKEND_NAMES
from specbuild.cli import options
from specbuild.cli.terminal import ExitCode, log_line, print_error, print_text
from specbuild.compiler.arguments import arguments_from_flags
from specbuild.compiler.pipeline import open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable
from specbuild.elaborate import notes
from specbuild.summary import format_quantity


def check_command(
    specs: options.Specs,
    variant: options.Variant = None,
    settings: options.Settings = None,
    format: Annotated[Literal["text", "json", "github"], typer.Option(help="The format of errors.")] = "text",
    root: options.Root = None,
) -> None:
    """Check specs: their syntax, every name, every shape.

    Errors go to stdout, each with its location, its code and a suggestion.
    """
    errors: list[SpecError] = []
    for spec in options.check_stdin_once(specs):
        try:
            line = check_spec(spec, variant, settings, root)
        except SpecError as error:
            errors.append(error)
        except SpecErrors as error:
            errors += error.errors
        else:
            if format == "text":
                print_text(line + "\n")
    if format != "text":
        text = format_errors(SpecErrors(errors), format=format)
        print_text(text + "\n" if text else "")
    elif errors:
        print_error(SpecErrors(errors), sys.stdout)
    if errors:
        raise typer.Exit(ExitCode.INVALID)


def check_spec(spec: str, variant: str | None, settings: list[str] | None, root: options.Root) -> str:
    """Return the line to print for a valid spec; log notes, such as that a backend cannot express it."""
    opened_spec, files = open_spec(options.spec_source(spec), root)
    if opened_spec.model is None:
        count = f"{len(opened_spec.blocks)} block{'s' * (len(opened_spec.blocks) != 1)}"
        return f"{make_printable(spec)}: {count}, no model: the syntax is valid, shapes were not checked"
    model = build_model(opened_spec, files, arguments_from_flags(settings or [], variant))
    for note in [
        *notes.name_notes(model.spec, model.full_graph),
        *notes.edit_notes(model.full_graph),
        *notes.unused_step_notes(model.full_graph, model.graph),
    ]:
        log_line(str(note))
    for backend in BACKEND_NAMES:
        try:
            model.source(backend)
        except SpecError as error:
            if error.code != "SB601":
                raise
            log_line(str(notes.SpecNote(error.message, error.location)))
    size = f"{model.parameters:,} parameters, {format_quantity(model.cost.macs)} multiply-adds"
    return f"{make_printable(spec)}: {model.name} is valid: {size}"

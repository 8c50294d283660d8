"""`specbuild check`: is a spec fine?"""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from specbuild.api import built
from specbuild.backends import NAMES
from specbuild.cli import options
from specbuild.cli.terminal import Exit, log, out, report
from specbuild.compiler.arguments import from_flags
from specbuild.compiler.pipeline import opened
from specbuild.diagnostics.errors import SpecError, SpecErrors, printable, render
from specbuild.elaborate import warnings as notes
from specbuild.summary import short


def check(
    specs: options.Specs,
    variant: options.Variant = None,
    settings: options.Settings = None,
    format: Annotated[Literal["text", "json", "github"], typer.Option(help="How faults are told.")] = "text",
    root: options.Root = None,
) -> None:
    """Check specs: their form, every name, every shape.

    Faults go to standard output, each with its place, a code, and what to do.
    """
    faults: list[SpecError] = []
    for spec in options.once(specs):
        try:
            told = examined(spec, variant, settings, root)
        except SpecError as error:
            faults.append(error)
        except SpecErrors as error:
            faults += error.errors
        else:
            if format == "text":
                out(told + "\n")
    if format != "text":
        found = render(SpecErrors(faults), format=format)
        out(found + "\n" if found else "")
    elif faults:
        report(SpecErrors(faults), sys.stdout)
    if faults:
        raise typer.Exit(Exit.INVALID)


def examined(spec: str, variant: str | None, settings: list[str] | None, root: options.Root) -> str:
    """One line on a spec that is fine; notes go to the log, such as that a backend cannot express it."""
    opened_spec, files = opened(options.source(spec), root)
    if opened_spec.model is None:
        count = f"{len(opened_spec.blocks)} block{'s' * (len(opened_spec.blocks) != 1)}"
        return f"{printable(spec)}: {count} and no model; the form is fine, shapes were not checked"
    model = built(opened_spec, files, from_flags(settings or [], variant))
    found = [*notes.names(model.spec, model.whole), *notes.edited(model.whole)]
    for note in [*found, *notes.dropped(model.whole, model.graph)]:
        log(str(note))
    for backend in NAMES:
        try:
            model.source(backend)
        except SpecError as error:
            if error.code != "SB601":
                raise
            log(str(notes.Note(error.message, error.place)))
    took = f"{model.parameters:,} parameters, {short(model.cost.macs)} multiply-adds"
    return f"{printable(spec)}: {model.name} is fine: {took}"

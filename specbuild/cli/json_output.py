"""The one form of all JSON documents that commands print.

Every document has the keys `specbuild` (the version of this form), `version` (that of specbuild), `command` and
`errors`, around the keys of the command. A key is never given another meaning in the same version of the form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from specbuild.cli.terminal import exit_code, print_text
from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors
from specbuild.version import __version__

FORM = "1"


def print_document(
    command: str, content: Mapping[str, Any], error: SpecError | SpecErrors | None = None
) -> None:
    """Print what a command has to say as one JSON document, with its errors."""
    print_text(json.dumps(make_document(command, content, error), indent=2) + "\n")


def make_document(
    command: str, content: Mapping[str, Any], error: SpecError | SpecErrors | None = None
) -> dict[str, Any]:
    """Return the JSON document of a command; `command` is its full name, such as `weights inspect`."""
    errors = [] if error is None else json.loads(format_errors(error, format="json"))
    head = {"specbuild": FORM, "version": __version__, "command": command}
    if taken := sorted({*head, "errors"} & set(content)):
        raise ValueError(f"keys of the form: {', '.join(taken)}")
    return {**head, **content, "errors": errors}


@contextmanager
def print_errors_as_json(command: str, as_json: bool) -> Iterator[None]:
    """With `as_json`, end the command with a document that has the errors of the body, in place of text on stderr."""
    try:
        yield
    except (SpecError, SpecErrors) as error:
        if not as_json:
            raise
        print_document(command, {}, error)
        raise typer.Exit(exit_code(error)) from None

"""`specbuild compile --layout package`: a spec to a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.changes import SAID, show
from specbuild.cli.terminal import Exit, exit_code, log, out
from specbuild.compiler.line_diff import changes
from specbuild.diagnostics.errors import SpecError, SpecErrors, nearest, printable, render
from specbuild.elaborate import warnings as notes
from specbuild.frontend.names import snake
from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.packaging import Change, Diagram

DONE = {"same": "unchanged", "stale": "removed", "kept": "left", "yours": "left"}  # all else was written
WELL = ("same", "kept", "yours")


@dataclass(frozen=True)
class Order:
    """What was said on the command line."""

    spec: str
    variant: str | None
    settings: list[str] | None
    root: Path | None
    backends: Sequence[str]
    target: str | None
    loaders: bool
    diagram: Diagram
    parity: Path | None
    check: bool
    diff: bool
    force: bool
    keep: Sequence[str]

    @property
    def looks(self) -> bool:
        """Whether nothing is written."""
        return self.check or self.diff


def packaged(order: Order, as_json: bool) -> Exit:
    """Write a package, or tell how it stands; what the command ends with."""
    try:
        model, found = done(order)
    except (SpecError, SpecErrors) as error:
        if not as_json:
            raise
        out(document([], error))
        return exit_code(error)
    told = [difference(change) if order.diff else "" for change in found]
    if as_json:
        out(document([record(order, model, c, text) for c, text in zip(found, told, strict=True)]))
    else:
        for change, text in zip(found, told, strict=True):
            show(text)
            stands = order.looks or change.status == "kept"
            log(f"{change.path} {SAID[change.status]}" if stands else f"{outcome(change)} {change.path}")
    differs = any(change.status not in WELL for change in found)
    return Exit.FOUND if order.looks and differs else Exit.FINE


def done(order: Order) -> tuple[Model, list[Change]]:
    """How each file stood, before it was written if it was to be."""
    from specbuild.packaging import KNOWN, Wanted, checked, delivered, named, package

    for file in order.keep:
        if file not in KNOWN:
            near = nearest(file, sorted(KNOWN))
            message = f"no package has a file {printable(file)!r}" + (
                f"; did you mean {near}?" if near else ""
            )
            raise typer.BadParameter(message, param_hint="--keep")
    model = options.model(order.spec, order.variant, order.settings, order.root)
    folder = Path(order.target or snake(model.name))
    name = named(folder)
    for note in [*notes.edited(model.whole), *notes.dropped(model.whole, model.graph)]:
        log(str(note))
    wanted = Wanted(order.backends, order.loaders, order.diagram, order.parity)
    found = checked(folder, package(model, name, wanted), model.digest, order.keep)
    if not order.looks:
        delivered(folder, found, force=order.force)
    return model, found


def outcome(change: Change) -> str:
    return DONE.get(change.status, "wrote")


def difference(change: Change) -> str:
    """What would change in a file; a picture is only said to change, and is not drawn for it."""
    if change.status in WELL:
        return ""
    if change.file is not None and change.file.drawn:
        return f"Picture {printable(str(change.path), 4096)} differs\n"
    return changes(change.path, None if change.file is None else change.file.text)


def record(order: Order, model: Model, change: Change, difference: str) -> dict[str, Any]:
    return {
        "spec": printable(order.spec, 4096),
        "model": model.name,
        "backend": None if change.file is None else change.file.backend,
        "file": printable(str(change.path), 4096),
        "status": change.status if order.looks else outcome(change),
        "parameters": model.parameters,
        "multiply_adds": model.cost.macs,
        **({"diff": difference} if order.diff else {}),
    }


def document(records: list[dict[str, Any]], error: SpecError | SpecErrors | None = None) -> str:
    errors = [] if error is None else json.loads(render(error, format="json"))
    return json.dumps({"specbuild": __version__, "results": records, "errors": errors}, indent=2) + "\n"

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
from specbuild.cli.file_status import STATUS_TEXT, print_diff
from specbuild.cli.terminal import ExitCode, exit_code, log_line, print_text
from specbuild.compiler.line_diff import diff_file
from specbuild.diagnostics.errors import SpecError, SpecErrors, closest_match, format_errors, make_printable
from specbuild.elaborate import notes
from specbuild.frontend.names import to_snake_case
from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.packaging import Diagram, FileChange

OUTCOMES = {"same": "unchanged", "stale": "removed", "kept": "left", "yours": "left"}  # all else was written
UNCHANGED = ("same", "kept", "yours")


@dataclass(frozen=True)
class PackageRequest:
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
    def is_dry_run(self) -> bool:
        """Whether nothing is written."""
        return self.check or self.diff


def compile_package(request: PackageRequest, as_json: bool) -> ExitCode:
    """Write a package, or tell how it stands; what the command ends with."""
    try:
        model, file_changes = update_package(request)
    except (SpecError, SpecErrors) as error:
        if not as_json:
            raise
        print_text(json_document([], error))
        return exit_code(error)
    differences = [change_diff(change) if request.diff else "" for change in file_changes]
    if as_json:
        print_text(
            json_document(
                [
                    change_record(request, model, c, text)
                    for c, text in zip(file_changes, differences, strict=True)
                ]
            )
        )
    else:
        for change, text in zip(file_changes, differences, strict=True):
            print_diff(text)
            stands = request.is_dry_run or change.status == "kept"
            log_line(
                f"{change.path} {STATUS_TEXT[change.status]}"
                if stands
                else f"{outcome_of(change)} {change.path}"
            )
    differs = any(change.status not in UNCHANGED for change in file_changes)
    return ExitCode.FOUND if request.is_dry_run and differs else ExitCode.FINE


def update_package(request: PackageRequest) -> tuple[Model, list[FileChange]]:
    """How each file stood, before it was written if it was to be."""
    from specbuild.packaging import (
        PACKAGE_FILE_NAMES,
        PackageOptions,
        apply_changes,
        build_package,
        package_name,
        plan_changes,
    )

    for file in request.keep:
        if file not in PACKAGE_FILE_NAMES:
            near = closest_match(file, sorted(PACKAGE_FILE_NAMES))
            message = f"no package has a file {make_printable(file)!r}" + (
                f"; did you mean {near}?" if near else ""
            )
            raise typer.BadParameter(message, param_hint="--keep")
    model = options.load_model(request.spec, request.variant, request.settings, request.root)
    folder = Path(request.target or to_snake_case(model.name))
    name = package_name(folder)
    for note in [
        *notes.edit_notes(model.full_graph),
        *notes.unused_step_notes(model.full_graph, model.graph),
    ]:
        log_line(str(note))
    wanted = PackageOptions(request.backends, request.loaders, request.diagram, request.parity)
    file_changes = plan_changes(folder, build_package(model, name, wanted), model.digest, request.keep)
    if not request.is_dry_run:
        apply_changes(folder, file_changes, force=request.force)
    return model, file_changes


def outcome_of(change: FileChange) -> str:
    return OUTCOMES.get(change.status, "wrote")


def change_diff(change: FileChange) -> str:
    """What would change in a file; a picture is only said to change, and is not drawn for it."""
    if change.status in UNCHANGED:
        return ""
    if change.file is not None and change.file.is_diagram:
        return f"Picture {make_printable(str(change.path), 4096)} differs\n"
    return diff_file(change.path, None if change.file is None else change.file.text)


def change_record(
    request: PackageRequest, model: Model, change: FileChange, difference: str
) -> dict[str, Any]:
    return {
        "spec": make_printable(request.spec, 4096),
        "model": model.name,
        "backend": None if change.file is None else change.file.backend,
        "file": make_printable(str(change.path), 4096),
        "status": change.status if request.is_dry_run else outcome_of(change),
        "parameters": model.parameters,
        "multiply_adds": model.cost.macs,
        **({"diff": difference} if request.diff else {}),
    }


def json_document(records: list[dict[str, Any]], error: SpecError | SpecErrors | None = None) -> str:
    errors = [] if error is None else json.loads(format_errors(error, format="json"))
    return json.dumps({"specbuild": __version__, "results": records, "errors": errors}, indent=2) + "\n"

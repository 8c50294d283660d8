"""`specbuild compile --layout package`: compile a spec to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from specbuild.api import Model
from specbuild.cli.compile_report import (
    STATUS_TEXT,
    file_record,
    log_left_out_arguments,
    log_notes,
    print_diff,
    print_records,
)
from specbuild.cli.output_options import OutputOptions
from specbuild.cli.terminal import ExitCode, exit_code, log_line, suggest_closest
from specbuild.compiler.line_diff import diff_file
from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable
from specbuild.frontend.names import to_snake_case

if TYPE_CHECKING:
    from specbuild.packaging import Diagram, FileChange

# What was done with a file of each status; all others were written.
OUTCOMES = {"same": "unchanged", "stale": "removed", "kept": "left", "yours": "left"}
UNCHANGED = ("same", "kept", "yours")


class PackageRequest(OutputOptions, frozen=True):
    """The options of `specbuild compile --layout package`."""

    spec: str
    backends: Sequence[str]
    target: str | None  # the folder; None: named after the model
    load: Callable[[str], Model]  # loads a spec with its variant and parameters
    loaders: bool = False
    diagram: Diagram = "svg"
    parity: Path | None = None
    keep: Sequence[str] = ()
    is_project: bool = False


def compile_package(request: PackageRequest) -> ExitCode:
    """Write a package, or compare it with the folder in a dry run; report, and return the exit code."""
    try:
        model, changes = update_package(request)
    except (SpecError, SpecErrors) as error:
        if not request.as_json:
            raise
        print_records([], error)
        return exit_code(error)
    differences = [diff_change(change) if request.diff else "" for change in changes]
    if request.as_json:
        print_records(
            change_record(request, model, change, difference)
            for change, difference in zip(changes, differences, strict=True)
        )
    else:
        for change, difference in zip(changes, differences, strict=True):
            print_diff(difference)
            log_line(describe_change(change, request))
    differs = any(change.status not in UNCHANGED for change in changes)
    return ExitCode.CHECK_FAILED if request.is_dry_run and differs else ExitCode.SUCCESS


def update_package(request: PackageRequest) -> tuple[Model, list[FileChange]]:
    """Bring the folder of a package up to date, unless in a dry run.

    Return the model, and the status of each file as it was before.
    """
    from specbuild.packaging import (
        PackageOptions,
        apply_changes,
        build_package,
        list_file_names,
        package_name,
        plan_changes,
    )

    model = request.load(request.spec)
    folder = Path(request.target or to_snake_case(model.name))
    name = package_name(folder, request.backends, request.is_project)
    file_names = list_file_names(name, request.is_project)
    for file in request.keep:
        if file not in file_names:
            hint = suggest_closest(file, sorted(file_names))
            message = f"no package has a file {make_printable(file)!r}{hint}"
            raise typer.BadParameter(message, param_hint="--keep")
    log_notes(model)
    package_options = PackageOptions(
        request.backends,
        request.loaders,
        request.diagram,
        request.parity,
        request.is_project,
        folder.resolve().name if request.is_project else "",
    )
    files = build_package(model, name, package_options)
    for backend in request.backends:
        log_left_out_arguments(model, backend)
    changes = plan_changes(folder, files, model.digest, request.keep, file_names)
    if not request.is_dry_run:
        apply_changes(folder, changes, force=request.force)
    return model, changes


def describe_change(change: FileChange, request: PackageRequest) -> str:
    if request.is_dry_run or change.status == "kept":
        return f"{change.path} {STATUS_TEXT[change.status]}"
    return f"{change_outcome(change)} {change.path}"


def change_outcome(change: FileChange) -> str:
    return OUTCOMES.get(change.status, "wrote")


def diff_change(change: FileChange) -> str:
    """Return what would change in a file; for a diagram, which is not drawn here, only that it differs."""
    if change.status in UNCHANGED:
        return ""
    if change.file is not None and change.file.is_diagram:
        return f"Picture {make_printable(str(change.path), 4096)} differs\n"
    return diff_file(change.path, None if change.file is None else change.file.text)


def change_record(
    request: PackageRequest, model: Model, change: FileChange, difference: str
) -> dict[str, Any]:
    backend = None if change.file is None else change.file.backend
    status = change.status if request.is_dry_run else change_outcome(change)
    return {
        **file_record(request.spec, model, backend, change.path, status),
        **({"diff": difference} if request.diff else {}),
    }

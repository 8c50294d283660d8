"""`specbuild compile` without `--layout package`: one source file for each spec and backend."""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

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
from specbuild.cli.terminal import ExitCode, exit_code, log_line, print_error, print_text
from specbuild.compiler.line_diff import diff_file
from specbuild.compiler.output_files import create_folder, file_state, write_error, write_output
from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable
from specbuild.frontend.names import to_snake_case


class SourceRequest(OutputOptions, frozen=True):
    """The options of `specbuild compile` for source files."""

    specs: Sequence[str]
    backends: Sequence[str]
    target: str | None  # a file or a folder; "-" is stdout
    load: Callable[[str], Model]  # loads a spec with its variant, parameters and features
    loader: bool = False
    groups: bool = False

    @property
    def has_several_files(self) -> bool:
        return len(self.specs) > 1 or len(self.backends) > 1

    def output_path(self, model: Model, backend: str) -> Path | None:
        """Return the path of an emitted file, or None for stdout."""
        if self.target == "-" or (self.target is None and not self.has_several_files):
            return None
        path = Path(self.target or ".")
        is_folder = self.has_several_files or str(self.target).endswith("/") or os.path.isdir(path)
        return path / f"{to_snake_case(model.name)}_{backend}.py" if is_folder else path


class SourceFile(Struct, frozen=True):
    """One emitted file, and the path to write it to: None for stdout."""

    spec: str
    model: Model
    backend: str
    text: str
    path: Path | None


class FileOutcome(Struct, frozen=True):
    """What was done with a file, or how it compares with the one on disk."""

    file: SourceFile
    status: str
    difference: str | None  # a unified diff, if one was requested

    def to_json(self) -> dict[str, Any]:
        file = self.file
        return {
            **file_record(file.spec, file.model, file.backend, file.path, self.status),
            **({"source": file.text} if file.path is None else {}),
            **({} if self.difference is None else {"diff": self.difference}),
        }

    def print_outcome(self) -> None:
        """Print the difference, if there is one, and log what became of the file."""
        if self.difference:
            print_diff(self.difference)
        if self.file.path is None:
            return
        if self.status in STATUS_TEXT:
            log_line(f"{self.file.path} {STATUS_TEXT[self.status]}")
        else:
            log_line(f"{self.status} {self.file.path}")


def compile_source_files(request: SourceRequest) -> ExitCode:
    """Compile all specs, write or compare their files, and report; return the exit code.

    An error in one spec or file does not stop the others.
    """
    compiled = list(compile_specs(request))
    files = [item for item in compiled if isinstance(item, SourceFile)]
    errors = [item for item in compiled if isinstance(item, SpecError)]
    outcomes = []
    for file in files:
        try:
            outcome = process_file(file, files, request)
        except SpecError as error:
            errors.append(error)
            continue
        outcomes.append(outcome)
        if not request.as_json:
            outcome.print_outcome()
    if request.as_json:
        print_records((outcome.to_json() for outcome in outcomes), SpecErrors(errors))
    elif errors:
        print_error(SpecErrors(errors))
    if errors:
        return exit_code(SpecErrors(errors))
    differs = request.is_dry_run and any(outcome.status != "same" for outcome in outcomes)
    return ExitCode.CHECK_FAILED if differs else ExitCode.SUCCESS


def compile_specs(request: SourceRequest) -> Iterator[SourceFile | SpecError]:
    """Yield an emitted file for each spec and backend, or the error instead."""
    for spec in iterate_with_progress(request.specs):
        try:
            model = request.load(spec)
        except SpecError as error:
            yield error
            continue
        except SpecErrors as errors:
            yield from errors.errors
            continue
        log_notes(model)
        for backend in request.backends:
            try:
                text = model.source(backend, loader=request.loader, groups=request.groups)
                log_left_out_arguments(model, backend)
                yield SourceFile(spec, model, backend, text, request.output_path(model, backend))
            except SpecError as error:
                yield error


def process_file(file: SourceFile, files: Iterable[SourceFile], request: SourceRequest) -> FileOutcome:
    """Write a file, or compare it with the one on disk in a dry run."""
    if not request.is_dry_run:
        return FileOutcome(file, write_source(file, files, request), None)
    assert file.path is not None
    status = file_state(file.path, file.text)
    return FileOutcome(file, status, diff_file(file.path, file.text) if request.diff else None)


def write_source(file: SourceFile, files: Iterable[SourceFile], request: SourceRequest) -> str:
    """Write a file to its path or to stdout; return what was done.

    Raises SB701 for a file that was edited by hand, and SB702 if another spec compiles to the same path.
    """
    if file.path is None:
        if not request.as_json:
            print_text(file.text)
        return "printed"
    rivals = [other for other in files if other.path == file.path and other is not file]
    if rivals:
        first, second = make_printable(file.spec), make_printable(rivals[0].spec)
        reason = f"{first} and {second} would both be written there"
        raise write_error(file.path, reason, "compile them one at a time, each with its own -o")
    create_folder(file.path.parent)
    return "wrote" if write_output(file.path, file.text, force=request.force) else "unchanged"


def iterate_with_progress(specs: Sequence[str]) -> Iterator[str]:
    """Yield the specs; show a progress bar on a terminal, if there are several."""
    if len(specs) == 1 or not sys.stderr.isatty():
        yield from specs
        return
    from rich.console import Console  # imported late: most runs show no bar
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(specs))
        for spec in specs:
            bar.update(task, description=make_printable(spec, 60))
            yield spec
            bar.advance(task)

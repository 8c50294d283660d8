"""`specbuild watch`: check specs again each time that one of their files is saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Annotated

import typer

from specbuild.cli import options
from specbuild.cli.check import check_opened
from specbuild.cli.terminal import log_line, print_error, print_text
from specbuild.compiler.pipeline import open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend import spec_paths

PAUSE = 0.3  # seconds between two looks at the files
FileStates = dict[Path, tuple[int, int] | None]

Interval = Annotated[float, typer.Option(min=0.05, max=60, help="Seconds between two looks at the files.")]


def watch_command(
    specs: options.Specs,
    variant: options.Variant = None,
    settings: options.Settings = None,
    interval: Interval = PAUSE,
    root: options.Root = None,
) -> None:
    """Check specs, and again each time that one of them or of their imports is saved. Ctrl-C ends it."""
    if "-" in specs:
        raise typer.BadParameter("it watches files; standard input is none", param_hint="SPEC")
    watched: dict[str, set[Path]] = {spec: {spec_paths.spec_path(spec)} for spec in specs}
    try:
        for changed in changed_specs(watched, lambda: sleep(interval)):
            for spec in changed:
                print_text(f"{datetime.now():%H:%M:%S} ")
                watched[spec] |= check_once(spec, variant, settings, root)
    except KeyboardInterrupt:
        log_line("stopped")


def changed_specs(watched: dict[str, set[Path]], wait: Callable[[], None]) -> Iterator[list[str]]:
    """Yield all specs, then those with files that changed. The caller may add files between."""
    yield list(watched)
    states = {spec: file_states(files) for spec, files in watched.items()}
    while True:
        wait()
        now = {spec: file_states(files) for spec, files in watched.items()}
        changed = [spec for spec in watched if now[spec] != states[spec]]
        if changed:
            yield changed
            now |= {spec: file_states(watched[spec]) for spec in changed}
        states = now


def file_states(files: Iterable[Path]) -> FileStates:
    """Return what changes when a file is saved: its time and size; None for a file that is not there."""
    states: FileStates = {}
    for file in files:
        try:
            found = os.stat(file)
            states[file] = (found.st_mtime_ns, found.st_size)
        except OSError:
            states[file] = None
    return states


def check_once(spec: str, variant: str | None, settings: list[str] | None, root: Path | None) -> set[Path]:
    """Check a spec and print what was found. Returns the files that it consists of, if they could be read."""
    found: set[Path] = set()
    try:
        opened = open_spec(spec_paths.spec_path(spec), root)
        try:
            print_text(f"{check_opened(spec, opened, variant, settings, log_line)}\n")
        finally:
            found |= set(opened[1].specs)
    except (SpecError, SpecErrors) as error:
        errors = error.errors if isinstance(error, SpecErrors) else (error,)
        print_text(f"{spec}: {len(errors)} error{'s' * (len(errors) != 1)}\n")
        print_error(error, sys.stdout)
        named = {e.location.file for e in errors if e.location is not None}
        found |= {path for name in named for path in (Path(name), Path(spec).parent / name) if path.is_file()}
    return found

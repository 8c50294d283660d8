"""What specbuild knows of a kind of weight file that a framework writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FileKind:
    """A kind of weight file that a framework writes. A worker process of the framework reads and writes it."""

    name: str  # in jobs and errors: "h5"
    backend: str  # whose names the file has
    title: str  # of what writes it, in errors: "Keras"
    endings: tuple[str, ...]  # of file names; the first is that of new files
    worker: str  # module that runs as `python -m WORKER FOLDER`
    description: str  # in the list of readable files
    modules: tuple[str, ...] = ()  # that must be installed to read or write it
    needs_program: bool = False  # whether the worker needs the emitted model to know the names of its weights
    program_modules: tuple[str, ...] = ()  # that must be installed for that, too
    first_bytes: bytes = b""  # by which such a file is recognized; b"": it is an archive
    is_own_archive: Callable[[Collection[str]], bool] | None = None  # by the names of the members
    find_environment: Callable[[], Mapping[str, str]] = dict  # of the worker; may raise SpecError SB603

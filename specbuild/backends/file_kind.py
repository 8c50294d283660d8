"""What specbuild knows of a kind of weight file that a framework writes."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct

from specbuild.runtimes.runtime import Runtime


class FileKind(Struct, frozen=True):
    """A kind of weight file that a framework writes. A worker process of the framework reads and writes it."""

    name: str  # in jobs and errors: "h5"
    backend: str  # whose names the file has
    title: str  # of what writes it, in errors: "Keras"
    endings: tuple[str, ...]  # of file names; the first is that of new files
    worker: str  # MODULE:FUNCTION that opens the worker which reads and writes such files
    description: str  # in the list of readable files
    modules: tuple[str, ...] = ()  # packages that must be installed to read or write it
    needs_program: bool = False  # whether the worker needs the emitted model to know the names of its weights
    program_modules: tuple[str, ...] = ()  # packages that must be installed for that, too
    first_bytes: bytes = b""  # by which such a file is recognized; b"": it is an archive
    # In whose environment the worker runs; may raise SpecError SB603. None: the first runtime of the backend.
    find_runtime: Callable[[], Runtime] | None = None
    is_own_archive: Callable[[Collection[str]], bool] | None = None  # by the names of the members

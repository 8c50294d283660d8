"""Find backends by name: the built-in ones, and those of installed extensions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import suggest_name
from specbuild.ops.extensions import extension_entries, load_entry

if TYPE_CHECKING:
    from specbuild.backends.base import Backend
    from specbuild.backends.file_kind import FileKind
    from specbuild.frontend.names import ReservedNames

BACKEND_NAMES = ("torch", "keras")  # built in


def all_backend_names() -> tuple[str, ...]:
    """Return the names of the built-in backends, then those of extensions."""
    extensions = sorted(extension_entries("specbuild.backends"))
    return (*BACKEND_NAMES, *(name for name in extensions if name not in BACKEND_NAMES))


def builtin_reserved_names() -> Iterator[ReservedNames]:
    """Yield the names that the built-in backends reserve, without loading the backends."""
    for name in BACKEND_NAMES:
        yield import_module(f"specbuild.backends.{name}.reserved").RESERVED_NAMES


def builtin_file_kinds() -> Iterator[FileKind]:
    """Yield the kinds of weight files of the built-in backends, without loading the backends."""
    for name in BACKEND_NAMES:
        yield from import_module(f"specbuild.backends.{name}.weight_files").WEIGHT_FILES


@cache
def load_backend(name: str) -> Backend:
    """Return the backend with this name, with the writers of its ops registered. Raises SpecError SB602.

    Entry points of the group `specbuild.backends` are read only if the name is not built in.
    """
    if name in BACKEND_NAMES:
        backend: Backend = import_module(f"specbuild.backends.{name}.backend").backend
        return backend
    entry = extension_entries("specbuild.backends").get(name)
    if entry is not None:
        extension: Backend = load_entry(entry)
        return extension
    known = all_backend_names()
    hint = suggest_name(name, known, "available:")
    raise SpecError("SB602", f"there is no backend {name!r}", hint=hint)

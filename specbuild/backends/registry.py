"""Find backends by name: the built-in ones, and those of installed extensions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import suggest_name
from specbuild.ops.extensions import extension_entries, extension_error, load_entry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from specbuild.backends.base import Backend
    from specbuild.backends.file_kind import FileKind
    from specbuild.frontend.names import ReservedNames

BACKEND_NAMES = ("torch", "keras")  # built in


def all_backend_names() -> tuple[str, ...]:
    """Return the names of the built-in backends, then those of extensions."""
    return (*BACKEND_NAMES, *sorted(extension_backends()))


def extension_backends() -> dict[str, EntryPoint]:
    """Return the entry points of backends by name. Raises SpecError SB606 for a name that is built in."""
    entries = extension_entries("specbuild.backends")
    for name in BACKEND_NAMES:
        if name in entries:
            raise extension_error(entries[name], f"specbuild itself has a backend {name!r}")
    return entries


@cache
def builtin_reserved_names() -> tuple[ReservedNames, ...]:
    """Return the names that the built-in backends reserve, without loading the backends."""
    modules = (import_module(f"specbuild.backends.{name}.reserved") for name in BACKEND_NAMES)
    return tuple(module.RESERVED_NAMES for module in modules)


def all_file_kinds() -> Iterator[FileKind]:
    """Yield the kinds of weight files of all backends, those of the built-in ones first.

    Only the backends of extensions are loaded for that, when the others are exhausted.
    """
    for name in BACKEND_NAMES:
        yield from import_module(f"specbuild.backends.{name}.weight_files").WEIGHT_FILES
    for name in sorted(extension_backends()):
        yield from load_backend(name).weight_files


def load_extension_backend(entry: EntryPoint) -> Backend:
    """Return the backend that an entry point names. Raises SpecError SB606 if it is not a Backend, or if its name differs."""
    from specbuild.backends.base import Backend  # imported late: it imports the code generator

    backend = load_entry(entry)
    if not isinstance(backend, Backend):
        raise extension_error(entry, f"{entry.value} is not an instance of Backend")
    if backend.name != entry.name:
        raise extension_error(entry, f"its backend has the name {backend.name!r}")
    return backend


@cache
def load_backend(name: str) -> Backend:
    """Return the backend with this name, with the writers of its ops registered. Raises SpecError SB602.

    Entry points of the group `specbuild.backends` are read only if the name is not built in.
    """
    if name in BACKEND_NAMES:
        backend: Backend = import_module(f"specbuild.backends.{name}.backend").backend
        return backend
    entry = extension_backends().get(name)
    if entry is not None:
        return load_extension_backend(entry)
    known = all_backend_names()
    hint = suggest_name(name, known, "available:")
    raise SpecError("SB602", f"there is no backend {name!r}", hint=hint)

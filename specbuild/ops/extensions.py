"""Entry points of other distributions: backends, ops and blocks.

An extension declares them in its `pyproject.toml`, under `[project.entry-points."specbuild.ops"]` for example.
Reading the entry points of all installed distributions is slow, so it is done only when a name is unknown, and
for lists of all names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from specbuild.diagnostics.errors import SpecError
from specbuild.ops.base import OPS, Op

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# group of entry points -> what `specbuild doctor` calls them
EXTENSION_GROUPS = {"specbuild.backends": "backend", "specbuild.ops": "ops", "specbuild.blocks": "blocks"}


@cache
def extension_entries(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, such as "specbuild.ops", by name.

    Raises SpecError SB606 if two distributions use one name.
    """
    from importlib.metadata import entry_points  # imported late: it takes 30 ms

    entries: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        other = entries.setdefault(entry.name, entry)
        if other.value != entry.value:
            reason = f"{source_name(other)!r} has an entry point {entry.name!r} of {group}, too"
            raise extension_error(entry, reason)
    return entries


def source_name(entry: EntryPoint) -> str:
    """Return the name of the distribution that declares an entry point."""
    return entry.dist.name if entry.dist else entry.value


def extension_error(entry: EntryPoint, reason: object) -> SpecError:
    """Return the error SB606 for an extension that cannot be used."""
    return SpecError(
        "SB606",
        f"the extension {source_name(entry)!r} cannot be loaded: {reason}",
        hint=f"it is the entry point {entry.name!r} of {entry.group}; update or uninstall it",
    )


def load_entry(entry: EntryPoint) -> Any:
    """Import what an entry point names. Raises SpecError SB606 if that fails."""
    try:
        return entry.load()
    except SpecError:
        raise
    except Exception as error:
        raise extension_error(entry, error) from error


def find_failing_extension(error: BaseException) -> str | None:
    """Return the name of the extension whose code raised an exception, or called a library that did; None if none."""
    try:
        entries = [entry for group in EXTENSION_GROUPS for entry in extension_entries(group).values()]
    except SpecError:  # two extensions use one name
        return None
    sources = {entry.module.partition(".")[0]: source_name(entry) for entry in entries}
    packages = [
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)
    ]
    innermost = next((p for p in reversed(packages) if p == "specbuild" or p in sources), "specbuild")
    return sources.get(innermost)


@cache
def import_op_modules() -> None:
    for entry in extension_entries("specbuild.ops").values():
        load_entry(entry)


def load_extension_ops() -> bool:
    """Import the modules that define ops of extensions, once. Return whether this call added ops to OPS."""
    count = len(OPS)
    import_op_modules()
    return len(OPS) > count


def find_op(name: str) -> type[Op] | None:
    """Return the op with this name, of specbuild or of an extension; None if there is none."""
    if name not in OPS:
        load_extension_ops()
    return OPS.get(name)


def all_ops() -> dict[str, type[Op]]:
    """Return all ops by name, with those of extensions."""
    load_extension_ops()
    return OPS


@cache
def block_folders() -> dict[str, Path]:
    """Return the folders with the blocks of extensions, by the name of their entry point."""
    modules = {name: load_entry(entry) for name, entry in extension_entries("specbuild.blocks").items()}
    return {name: Path(module.__file__).resolve().parent for name, module in modules.items()}

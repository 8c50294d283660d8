"""Entry points of other distributions: backends, ops and blocks.

An extension declares them in its `pyproject.toml`, under `[project.entry-points."specbuild.ops"]` for example.
Reading the entry points of all installed distributions is slow, so it is done only when a name is unknown, and
for lists of all names.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from specbuild.diagnostics.errors import SpecError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def extension_entries(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, such as "specbuild.ops", by name."""
    from importlib.metadata import entry_points  # imported late: it takes 30 ms

    return {entry.name: entry for entry in entry_points(group=group)}


def load_entry(entry: EntryPoint) -> Any:
    """Import what an entry point names. Raises SpecError SB606 if that fails."""
    try:
        return entry.load()
    except Exception as error:
        source = entry.dist.name if entry.dist else entry.value
        raise SpecError(
            "SB606",
            f"the extension {source!r} cannot be loaded: {error}",
            hint=f"it is the entry point {entry.name!r} of {entry.group}; update or uninstall it",
        ) from error

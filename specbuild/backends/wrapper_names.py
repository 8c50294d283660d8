"""What wrappers around a model add to the names in its weight files."""

from __future__ import annotations

from msgspec import Struct


class WrapperNames(Struct, frozen=True):
    """What the wrappers of a framework, such as those for several devices or for averages, add to saved names."""

    prefixes: tuple[str, ...] = ()  # in front of all names, also several of them
    insertions: tuple[str, ...] = ()  # anywhere in a name
    entries: frozenset[str] = frozenset()  # further entries, which are no weights

    def remove_additions(self, name: str) -> str:
        """Return a name without the parts that wrappers add inside it; prefixes remain."""
        for insertion in self.insertions:
            name = name.replace(insertion, "")
        return name

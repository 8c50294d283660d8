"""The nodes and groups of a block by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any


class PathIndex:
    """The names of nodes and groups in order, by the paths that lead to them; both may still grow."""

    def __init__(self, nodes: Mapping[str, Any], groups: Mapping[str, Any]) -> None:
        self.sources = (nodes, groups)
        self.read_counts = [0, 0]
        self.below: tuple[dict[str, list[tuple[int, str]]], ...] = ({}, {})

    def find_nodes(self, roots: Iterable[str]) -> list[str]:
        """Return the nodes at these paths, which do not lead to each other, and inside them."""
        return self.find_names(0, roots)

    def find_groups(self, roots: Iterable[str]) -> list[str]:
        return self.find_names(1, roots)

    def find_names(self, kind: int, roots: Iterable[str]) -> list[str]:
        names, below, first = self.sources[kind], self.below[kind], self.read_counts[kind]
        for position, name in enumerate(islice(names, first, None), first):
            for prefix in path_prefixes(name):
                below.setdefault(prefix, []).append((position, name))
        self.read_counts[kind] = len(names)
        return [name for _, name in sorted(pair for root in roots for pair in below.get(root, ()))]


def path_prefixes(path: str) -> Iterator[str]:
    """Return the path of each enclosing step or group, outermost first, and then the path itself: `layer4`, `layer4.2`."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))

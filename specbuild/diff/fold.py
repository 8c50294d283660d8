"""Fold equal entries of a repeat into one: `layer1.*.conv2`, `layer1.0-2.conv2`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from specbuild.diff.flatten import enclosing_paths

Indices = tuple[int, ...]
IndexRanges = tuple[frozenset[int], ...]


@dataclass(frozen=True)
class PathPiece:
    """A path inside a text; it is folded together with the path of the entry."""

    path: str
    absolute: bool = False  # else relative to the path of the entry


@dataclass(frozen=True)
class DiffEntry:
    """One change at one path: its text, its size, and its position in the model."""

    label: str
    path: str
    text: tuple[str | PathPiece, ...] = ()
    steps: int = 0
    parameters: int = 0
    position: float = 0
    repeats: int = 1

    @property
    def description(self) -> str:
        return "".join(piece if isinstance(piece, str) else piece.path for piece in self.text)


class RepeatIndices:
    """The indices in the paths of a model, by path pattern; all indices together are written `*`."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.indices: dict[str, set[Indices]] = {}
        for path in paths:
            for prefix in (*enclosing_paths(path), path):
                self.indices.setdefault(path_pattern(prefix), set()).add(path_indices(prefix))

    def index_labels(self, pattern: str, ranges: IndexRanges) -> list[str]:
        all_indices = self.indices.get(pattern, set())
        labels = []
        for i, numbers in enumerate(ranges):
            possible = {
                index_tuple[i]
                for index_tuple in all_indices
                if len(index_tuple) > i and all(index_tuple[j] in ranges[j] for j in range(i))
            }
            labels.append("*" if len(numbers) > 1 and numbers == possible else format_ranges(numbers))
        return labels


def fold_entries(entries: Iterable[DiffEntry], indices: RepeatIndices) -> list[DiffEntry]:
    """Join entries that are equal except for the indices in their paths; sorted by position."""
    groups: dict[tuple[object, ...], dict[Indices, DiffEntry]] = {}
    for entry in entries:
        key = (
            entry.label,
            path_pattern(entry.path),
            tuple(relative_pattern(piece, entry.path) for piece in entry.text),
        )
        groups.setdefault(key, {})[path_indices(entry.path)] = entry
    folded = []
    for members in groups.values():
        for ranges in split_into_boxes(sorted(members)):
            inside = [
                members[index_tuple]
                for index_tuple in members
                if all(n in r for n, r in zip(index_tuple, ranges, strict=True))
            ]
            folded.append(merge_entries(inside, ranges, indices))
    return sorted(folded, key=lambda entry: entry.position)


def merge_entries(members: Sequence[DiffEntry], ranges: IndexRanges, indices: RepeatIndices) -> DiffEntry:
    first = members[0]
    labels = indices.index_labels(path_pattern(first.path), ranges)

    def fold_path(path: str, whole: bool) -> str:
        parts, own_parts = path.split("."), first.path.split(".")
        folded, label_count = [], 0
        for i, part in enumerate(parts):
            if i < len(own_parts) and parts[: i + 1] == own_parts[: i + 1] and part.isdigit():
                part, label_count = labels[label_count], label_count + 1
            folded.append(part)
        common = 0
        while (
            not whole and common < min(len(parts), len(own_parts)) - 1 and parts[common] == own_parts[common]
        ):
            common += 1
        return ".".join(folded[common:])

    return DiffEntry(
        first.label,
        fold_path(first.path, True),
        tuple(p if isinstance(p, str) else fold_path(p.path, p.absolute) for p in first.text),
        sum(m.steps for m in members),
        sum(m.parameters for m in members),
        min(m.position for m in members),
        len(members),
    )


def path_pattern(path: str) -> str:
    return ".".join("#" if part.isdigit() else part for part in path.split("."))


def path_indices(path: str) -> Indices:
    return tuple(int(part) for part in path.split(".") if part.isdigit())


def relative_pattern(piece: str | PathPiece, own: str) -> str:
    """A piece of text without the indices that it shares with the path of its entry."""
    if isinstance(piece, str):
        return piece
    parts, own_parts = piece.path.split("."), own.split(".")
    pattern, is_shared = [], True
    for i, part in enumerate(parts):
        is_shared = is_shared and i < len(own_parts) and own_parts[i] == part
        pattern.append("#" if is_shared and part.isdigit() else part)
    return ".".join(pattern)


def split_into_boxes(members: Sequence[Indices]) -> Iterator[IndexRanges]:
    """Split tuples of indices into products of sets that together contain just these tuples."""
    if not members or not members[0]:
        yield from [()] if members else []
        return
    by_rest: dict[tuple[Indices, ...], set[int]] = {}
    inside: dict[int, list[Indices]] = {}
    for first, *rest in members:
        inside.setdefault(first, []).append(tuple(rest))
    for number, rests in inside.items():
        by_rest.setdefault(tuple(rests), set()).add(number)
    for tails, firsts in by_rest.items():
        for ranges in split_into_boxes(tails):
            yield (frozenset(firsts), *ranges)


def format_ranges(numbers: Iterable[int]) -> str:
    """Format numbers as ranges: `0-2,5`."""
    ranges: list[list[int]] = []
    for n in sorted(numbers):
        if ranges and n == ranges[-1][1] + 1:
            ranges[-1][1] = n
        else:
            ranges.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)

"""Fold equal entries of a repeat into one: `layer1.*.conv2`, `layer1.0-2.conv2`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from specbuild.diff.flatten import enclosing_paths

Indices = tuple[int, ...]
IndexRanges = tuple[frozenset[int], ...]


class PathPiece(Struct, frozen=True):
    """A path inside a text; it is folded together with the path of the entry."""

    path: str
    absolute: bool = False  # else relative to the path of the entry


class DiffEntry(Struct, frozen=True):
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
        """Return the text of each set of indices: `*` if the model has no other indices there."""
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
    return DiffEntry(
        first.label,
        fold_path(first.path, first.path, labels),
        tuple(
            piece
            if isinstance(piece, str)
            else fold_path(piece.path, first.path, labels)
            if piece.absolute
            else relative_path(piece.path, first.path, labels)
            for piece in first.text
        ),
        sum(m.steps for m in members),
        sum(m.parameters for m in members),
        min(m.position for m in members),
        len(members),
    )


def fold_path(path: str, own_path: str, labels: Sequence[str]) -> str:
    """Replace the indices that a path shares with the path of its entry by labels."""
    parts, own_parts = path.split("."), own_path.split(".")
    remaining = iter(labels)
    shared = common_length(parts, own_parts)
    folded = [next(remaining) if part.isdigit() else part for part in parts[:shared]]
    return ".".join(folded + parts[shared:])


def relative_path(path: str, own_path: str, labels: Sequence[str]) -> str:
    """Return a folded path without the containers that it shares with the path of its entry."""
    parts, own_parts = path.split("."), own_path.split(".")
    containers = common_length(parts[:-1], own_parts[:-1])
    return ".".join(fold_path(path, own_path, labels).split(".")[containers:])


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the number of leading parts that two paths share."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def path_pattern(path: str) -> str:
    return ".".join("#" if part.isdigit() else part for part in path.split("."))


def path_indices(path: str) -> Indices:
    return tuple(int(part) for part in path.split(".") if part.isdigit())


def relative_pattern(piece: str | PathPiece, own_path: str) -> str:
    """Return a piece of text, with `#` for the indices that it shares with the path of its entry."""
    if isinstance(piece, str):
        return piece
    parts = piece.path.split(".")
    shared = common_length(parts, own_path.split("."))
    return ".".join([path_pattern(".".join(parts[:shared])), *parts[shared:]] if shared else parts)


def split_into_boxes(members: Sequence[Indices]) -> Iterator[IndexRanges]:
    """Split tuples of indices into products of sets that together contain just these tuples.

    For example, (0, 0), (0, 1), (1, 0), (1, 1) are one product: {0, 1} and {0, 1}.
    """
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

"""What is alike in many members of a repeat, told once: `layer1.*.conv2`, `layer1.0-2.conv2`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from specbuild.diff.flatten import prefixes

Numbers = tuple[int, ...]
Ranges = tuple[frozenset[int], ...]


@dataclass(frozen=True)
class Path:
    """A path within a text, folded along with the one that the text is about."""

    path: str
    whole: bool = False  # else as seen from where the line stands


@dataclass(frozen=True)
class Line:
    """One thing to say of one path: texts and paths, how much it takes, and where it stands in the model."""

    word: str
    path: str
    text: tuple[str | Path, ...] = ()
    steps: int = 0
    parameters: int = 0
    place: float = 0
    times: int = 1

    @property
    def told(self) -> str:
        return "".join(piece if isinstance(piece, str) else piece.path for piece in self.text)


class Places:
    """The numbers that stand in the paths of a model, by the form of the path: all of them are told as `*`."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.every: dict[str, set[Numbers]] = {}
        for path in paths:
            for around in (*prefixes(path), path):
                self.every.setdefault(form(around), set()).add(numbers(around))

    def shown(self, shape: str, ranges: Ranges) -> list[str]:
        every = self.every.get(shape, set())
        found = []
        for i, held in enumerate(ranges):
            here = {ns[i] for ns in every if len(ns) > i and all(ns[j] in ranges[j] for j in range(i))}
            found.append("*" if len(held) > 1 and held == here else spans(held))
        return found


def fold(lines: Iterable[Line], places: Places) -> list[Line]:
    """Lines that say the same of paths alike but for their numbers, as one; in the order of their places."""
    groups: dict[tuple[object, ...], dict[Numbers, Line]] = {}
    for line in lines:
        key = (line.word, form(line.path), tuple(relative(piece, line.path) for piece in line.text))
        groups.setdefault(key, {})[numbers(line.path)] = line
    found = []
    for members in groups.values():
        for ranges in boxes(sorted(members)):
            inside = [members[ns] for ns in members if all(n in r for n, r in zip(ns, ranges, strict=True))]
            found.append(joined(inside, ranges, places))
    return sorted(found, key=lambda line: line.place)


def joined(members: Sequence[Line], ranges: Ranges, places: Places) -> Line:
    first = members[0]
    shown = places.shown(form(first.path), ranges)

    def path_of(text: str, whole: bool) -> str:
        parts, mine = text.split("."), first.path.split(".")
        found, n = [], 0
        for i, part in enumerate(parts):
            if i < len(mine) and parts[: i + 1] == mine[: i + 1] and part.isdigit():
                part, n = shown[n], n + 1
            found.append(part)
        common = 0
        while not whole and common < min(len(parts), len(mine)) - 1 and parts[common] == mine[common]:
            common += 1
        return ".".join(found[common:])

    return Line(
        first.word,
        path_of(first.path, True),
        tuple(p if isinstance(p, str) else path_of(p.path, p.whole) for p in first.text),
        sum(m.steps for m in members),
        sum(m.parameters for m in members),
        min(m.place for m in members),
        len(members),
    )


def form(path: str) -> str:
    return ".".join("#" if part.isdigit() else part for part in path.split("."))


def numbers(path: str) -> Numbers:
    return tuple(int(part) for part in path.split(".") if part.isdigit())


def relative(piece: str | Path, own: str) -> str:
    """A piece of text, equal for all members of a repeat that say the same of themselves."""
    if isinstance(piece, str):
        return piece
    parts, mine = piece.path.split("."), own.split(".")
    found, together = [], True
    for i, part in enumerate(parts):
        together = together and i < len(mine) and mine[i] == part
        found.append("#" if together and part.isdigit() else part)
    return ".".join(found)


def boxes(found: Sequence[Numbers]) -> Iterator[Ranges]:
    """Sets of numbers, place by place, that together are just these."""
    if not found or not found[0]:
        yield from [()] if found else []
        return
    by_rest: dict[tuple[Numbers, ...], set[int]] = {}
    inside: dict[int, list[Numbers]] = {}
    for first, *rest in found:
        inside.setdefault(first, []).append(tuple(rest))
    for number, rests in inside.items():
        by_rest.setdefault(tuple(rests), set()).add(number)
    for tails, firsts in by_rest.items():
        for ranges in boxes(tails):
            yield (frozenset(firsts), *ranges)


def spans(held: Iterable[int]) -> str:
    """Numbers as ranges: `0-2,5`."""
    found: list[list[int]] = []
    for n in sorted(held):
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)

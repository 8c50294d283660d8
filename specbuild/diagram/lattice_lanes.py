"""Lanes of links that run along one line of a grid: no two links of different values lie on each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from specbuild.diagram.grid_router import LatticePoint


class Stretch(Struct):
    """A straight part of a path: it runs along a line of the lattice, from `low` to `high`."""

    is_horizontal: bool
    line: int  # the row of the lattice if it is horizontal, else the column
    low: int
    high: int
    pull: int  # to which side its ends turn, summed: negative for up or left
    offset: float = 0  # in lanes, from the middle of the line


def split_stretches(path: Sequence[LatticePoint]) -> list[Stretch]:
    """Return the straight parts of a path, in order."""
    corners = [path[0]]
    for before, point, after in zip(path, path[1:], path[2:], strict=False):
        if (point[0] - before[0], point[1] - before[1]) != (after[0] - point[0], after[1] - point[1]):
            corners.append(point)
    corners.append(path[-1])
    stretches = []
    for i, (a, b) in enumerate(pairwise(corners)):
        is_horizontal = a[0] == b[0]
        across = 0 if is_horizontal else 1
        pull = 0
        if i > 0:
            pull += sign(corners[i - 1][across] - a[across])
        if i + 2 < len(corners):
            pull += sign(corners[i + 2][across] - b[across])
        along = sorted((a[1 - across], b[1 - across]))
        stretches.append(Stretch(is_horizontal, a[across], along[0], along[1], pull))
    return stretches


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def assign_lanes(paths: Sequence[tuple[str, list[Stretch]]]) -> dict[tuple[bool, int], int]:
    """Set the lane of each stretch. Returns the number of lanes of each line.

    `paths` has the value of each path. Stretches of one value that touch each other share a lane.
    """
    lines: dict[tuple[bool, int], list[tuple[str, Stretch]]] = defaultdict(list)
    for value, stretches in paths:
        for stretch in stretches:
            lines[stretch.is_horizontal, stretch.line].append((value, stretch))
    return {line: assign_line(members) for line, members in lines.items()}


def assign_line(members: Sequence[tuple[str, Stretch]]) -> int:
    """Set the offsets of the stretches along one line. Returns the number of lanes.

    What turns up or left comes first, the shortest outermost, so that few links cross.
    """
    lane_of: dict[int, int] = {}
    bundles = sorted(bundle_stretches(members), key=lane_preference)
    spans = [(min(s.low for s in bundle), max(s.high for s in bundle)) for bundle in bundles]
    for i, span in enumerate(spans):
        lane_of[i] = max((lane_of[k] + 1 for k in range(i) if has_common_part(span, spans[k])), default=0)
    for component in overlapping_components(spans):
        highest = max(lane_of[i] for i in component)
        for i in component:
            for stretch in bundles[i]:
                stretch.offset = lane_of[i] - highest / 2
    return max(lane_of.values()) + 1


def lane_preference(bundle: Sequence[Stretch]) -> tuple[float, float]:
    """Return the key by which the stretches along one line are sorted into lanes."""
    pull = sum(s.pull for s in bundle) / len(bundle)
    length = max(s.high for s in bundle) - min(s.low for s in bundle)
    return pull, length if pull < 0 else -length


def has_common_part(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def overlapping_components(spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the indices of spans in groups: two that overlap, directly or through others, are in one group."""
    components: list[list[int]] = []
    end = -1
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        low, high = spans[i]
        if low >= end:
            components.append([])
        components[-1].append(i)
        end = max(end, high)
    return components


def bundle_stretches(members: Sequence[tuple[str, Stretch]]) -> list[list[Stretch]]:
    """Return the stretches of one line, those of one value that touch each other together."""
    by_value: dict[str, list[Stretch]] = defaultdict(list)
    for value, stretch in members:
        by_value[value].append(stretch)
    bundles: list[list[Stretch]] = []
    for stretches in by_value.values():
        end = -1
        for stretch in sorted(stretches, key=lambda s: (s.low, s.high)):
            if stretch.low > end:
                bundles.append([])
            bundles[-1].append(stretch)
            end = max(end, stretch.high)
    return bundles

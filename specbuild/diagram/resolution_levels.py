"""Levels of resolution in a panel: a U-Net is drawn as a U, with one row of boxes for each resolution.

A panel has levels if values become coarse, then fine again, and meet what was as fine before. Boxes of one
resolution share a row; a box that goes from one resolution to the next, such as a pooling, is between two rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log2

from msgspec import Struct, field

from specbuild.diagram.view_model import Box, Link, Panel

MIN_LEVELS = 3
MIN_MEETINGS = 2  # boxes in which a coarse value meets a fine one
MAX_TRACKS = 3  # rows for boxes of one resolution that would be in the same place
MAX_LEVELLED_BOXES = 120
MIN_STEM = 3  # boxes before the first level that values come back to, which get a row of their own
STEM_LEVEL = -1.0
MAX_UNEVEN = 0.15  # of the halvings of a single axis: how far they may be from a whole number

PORTS = ("input", "output", "port")

Cell = tuple[int, int]  # row and column


class LevelGrid(Struct):
    """The cells of the boxes of a panel."""

    cells: dict[str, Cell] = field(default_factory=dict)
    row_count: int = 0
    column_count: int = 0


def arrange_levels(panel: Panel, order: Sequence[str], is_narrow: bool = False) -> LevelGrid | None:
    """Return the cells of the boxes of a panel with levels; None for other panels.

    `order` has the keys of the boxes, each after its inputs. With `is_narrow`, the way up does not move to the
    right from level to level, and inputs and outputs are above or below the boxes beside which they would be.
    """
    if len(panel.boxes) > MAX_LEVELLED_BOXES:
        return None
    levels = find_levels(panel, order)
    if levels is None or not has_pyramid(panel, order, levels):
        return None
    # below all that values come back to, one row is enough: a pyramid pooling has windows of many sizes there
    lowest = max(levels[key] for key in find_meetings(panel, order, levels)) + 1
    levels = {key: min(level, lowest) for key, level in levels.items()}
    return GridPlacement(panel, order, levels, is_narrow).place_boxes()


def find_levels(panel: Panel, order: Sequence[str]) -> dict[str, int] | None:
    """Return the level of each box: 0 for the finest resolution, one more for each halving of all axes.

    A box without a resolution has the level of its first input, else that of its first reader. None if
    there are no resolutions.
    """
    axes = Counter(tuple(sorted(dict(box.grid))) for box in panel.boxes if box.grid)
    if not axes:
        return None
    if gives_several_resolutions(panel):
        return None
    [(common_axes, _)] = axes.most_common(1)
    grids = {box.key: dict(box.grid) for box in panel.boxes if tuple(sorted(dict(box.grid))) == common_axes}
    largest = {axis: max(grid[axis] for grid in grids.values()) for axis in common_axes}
    levels: dict[str, int] = {}
    for key, grid in grids.items():
        halvings = [log2(largest[axis] / grid[axis]) for axis in common_axes if grid[axis] > 0]
        if len(halvings) == 1 and abs(halvings[0] - round(halvings[0])) > MAX_UNEVEN:
            return None  # not half as many places of a signal, but some tokens of a sequence
        levels[key] = round(sum(halvings) / max(len(halvings), 1))
    for link in sorted(panel.links, key=lambda link: order.index(link.head)):
        if link.tail in levels:
            levels.setdefault(link.head, levels[link.tail])
    for link in sorted(panel.links, key=lambda link: -order.index(link.tail)):
        if link.head in levels:
            levels.setdefault(link.tail, levels[link.head])
    return {key: levels.get(key, 0) for key in order}


def gives_several_resolutions(panel: Panel) -> bool:
    """Return whether a box has outputs of several resolutions, such as a backbone: it would be in several rows."""
    without_level = {box.key for box in panel.boxes if not box.grid}
    types: dict[str, set[str]] = {}
    for link in panel.links:
        types.setdefault(link.tail, set()).add(link.type)
    return any(len(types.get(key, ())) > 1 for key in without_level)


def has_pyramid(panel: Panel, order: Sequence[str], levels: Mapping[str, int]) -> bool:
    """Return whether values of several resolutions meet again: a coarse one comes back to what was as fine."""
    if len(set(levels.values())) < MIN_LEVELS:
        return False
    return len(find_meetings(panel, order, levels)) >= MIN_MEETINGS


def find_meetings(panel: Panel, order: Sequence[str], levels: Mapping[str, int]) -> list[str]:
    """Return the boxes in which a value that comes from a coarser level meets one that does not."""
    tails: dict[str, list[str]] = {key: [] for key in order}
    for link in panel.links:
        if not link.gives_size:
            tails[link.head].append(link.tail)
    coarsest: dict[str, int] = {}  # of the values that a box depends on
    for key in order:
        coarsest[key] = max([levels[key], *(coarsest[tail] for tail in tails[key])])
    return [
        key
        for key in order
        if any(coarsest[tail] > levels[key] for tail in tails[key])
        and any(coarsest[tail] == levels[tail] == levels[key] for tail in tails[key])
    ]


def find_stem(panel: Panel, order: Sequence[str], levels: Mapping[str, int]) -> set[str]:
    """Return the boxes that are finer than all levels to which values come back, if there are several."""
    finest = min(levels[key] for key in find_meetings(panel, order, levels))
    stem = {key for key in order if levels[key] < finest}
    return stem if len(stem) >= MIN_STEM else set()


class GridPlacement:
    """Puts each box into a cell: its row follows from its level, its column from the boxes that it reads."""

    def __init__(
        self, panel: Panel, order: Sequence[str], levels: Mapping[str, int], is_narrow: bool = False
    ) -> None:
        self.panel, self.order, self.levels, self.is_narrow = panel, order, levels, is_narrow
        self.boxes: dict[str, Box] = {box.key: box for box in panel.boxes}
        self.inputs: dict[str, list[Link]] = {key: [] for key in order}
        self.readers: dict[str, list[str]] = {key: [] for key in order}
        for link in panel.links:
            if not link.gives_size:
                self.inputs[link.head].append(link)
                self.readers[link.tail].append(link.head)
        self.stem = find_stem(panel, order, levels)
        # for each box: its row, as level and track, and its column; a box between two levels has half a level
        self.places: dict[str, tuple[float, int, int]] = {}
        self.taken: set[tuple[float, int, int]] = set()

    def place_boxes(self) -> LevelGrid:
        for key in self.order:
            level = self.row_level(key)
            place = self.free_place(key, level, self.first_column(key, level))
            self.places[key] = place
            self.taken.add(place)
        rows = sorted({place[:2] for place in self.places.values()})
        columns = sorted({place[2] for place in self.places.values()})
        cells = {
            key: (rows.index((level, track)), columns.index(column))
            for key, (level, track, column) in self.places.items()
        }
        return LevelGrid(cells, len(rows), len(columns))

    def row_level(self, key: str) -> float:
        """Return the level of a box, or half a level before it if the box comes from another level."""
        if key in self.stem:
            return STEM_LEVEL
        level = self.levels[key]
        if self.is_narrow and self.boxes[key].form in PORTS:
            return level + (0.5 if self.is_second_output(key) else -0.5)
        others = {self.levels[link.tail] for link in self.inputs[key] if self.levels[link.tail] != level}
        if len(others) != 1 or self.boxes[key].form in ("output", "port", "symbol"):
            return level
        if len(self.inputs[key]) > 1 and self.levels[self.inputs[key][0].tail] == level:
            return level
        return level + 0.5 if others.pop() > level else level - 0.5

    def is_second_output(self, key: str) -> bool:
        """Return whether a box has its reader above: of several outputs of one box every other is below it."""
        tails = [link.tail for link in self.inputs[key]]
        outputs = [
            other for tail in tails[:1] for other in self.readers[tail] if self.boxes[other].form in PORTS
        ]
        return key in outputs and outputs.index(key) % 2 == 1

    def first_column(self, key: str, level: float) -> int:
        """Return the first column where a box can be: right of what it reads in its row, else below or above it."""
        columns = [
            self.places[link.tail][2] + (self.places[link.tail][0] == level)
            for link in self.inputs[key]
            if key in self.stem or link.tail not in self.stem
        ]
        if level > self.levels[key]:  # it goes up: to the box where it meets a value of that level
            meetings = [
                self.places[link.tail][2] + 1
                for reader in self.readers[key]
                for link in self.inputs[reader]
                if link.tail in self.places and self.places[link.tail][0] == self.levels[key]
            ]
            columns = meetings if meetings and self.is_narrow else columns + meetings
        return max(columns, default=0)

    def free_place(self, key: str, level: float, column: int) -> tuple[float, int, int]:
        """Return the place of a box: the next free track of its level, for boxes between levels the next column."""
        is_between = level != self.levels[key] or key in self.stem
        while True:
            for track in range(1 if is_between else MAX_TRACKS):
                if (level, track, column) not in self.taken:
                    return level, track, column
            column += 1

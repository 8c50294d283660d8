"""Puts panels side by side on shelves, and small ones below each other beside a tall one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct, field

MAX_GROWTH = 1.25  # how much taller than its shelf a panel may be that is put on it
MAX_STRETCH = 1.7  # how much taller than its contents a frame may become


class Sized(Protocol):
    w: float
    h: float


SizedPanel = TypeVar("SizedPanel", bound=Sized)


class Shelf(Struct, Generic[SizedPanel]):
    """Columns of panels, side by side."""

    gap: float
    columns: list[list[SizedPanel]] = field(default_factory=list)

    @property
    def width(self) -> float:
        return sum(max(p.w for p in column) + self.gap for column in self.columns) - self.gap

    @property
    def height(self) -> float:
        return max(map(self.column_height, self.columns))

    def column_height(self, column: Sequence[SizedPanel]) -> float:
        return sum(panel.h + self.gap for panel in column) - self.gap

    def try_add(self, panel: SizedPanel, limit: float) -> bool:
        """Add a panel below others or beside them, if there is room up to the width `limit`."""
        free = limit - self.width
        for column in self.columns:
            growth = max(panel.w - max(p.w for p in column), 0)
            if growth <= free and self.column_height(column) + self.gap + panel.h <= self.height:
                column.append(panel)
                return True
        if panel.w + self.gap <= free and panel.h <= MAX_GROWTH * self.height:
            self.columns.append([panel])
            return True
        return False

    def stretch_panels(self, width: float) -> None:
        """Give the panels of a column one width, the last column the rest of the width, and all columns one height."""
        for column in self.columns:
            for panel in column:
                panel.w = max(p.w for p in column)
        rest = width - self.width
        for panel in self.columns[-1]:
            panel.w += rest
        height = self.height
        for column in self.columns:
            last = column[-1]
            room = height - self.column_height(column) + last.h
            if room <= MAX_STRETCH * last.h:
                last.h = room


def fill_shelves(
    panels: Sequence[SizedPanel], limit: float, room: float | None, gap: float, needs_one: bool = True
) -> tuple[list[Shelf[SizedPanel]], list[SizedPanel]]:
    """Return the shelves, and the panels that find no room.

    `limit` is the width of a shelf, `room` the height of all shelves; None: any height. With `needs_one`, the first
    shelf may be higher.
    """
    shelves: list[Shelf[SizedPanel]] = []
    left_over: list[SizedPanel] = []
    for panel in panels:
        if any(shelf.try_add(panel, limit) for shelf in shelves):
            continue
        used = total_height(shelves, gap)
        if room is not None and (shelves or not needs_one) and used + panel.h > room:
            left_over.append(panel)
        else:
            shelves.append(Shelf(gap, [[panel]]))
    return shelves, left_over


def total_height(shelves: Sequence[Shelf[SizedPanel]], gap: float) -> float:
    """Return the height of all shelves, with a gap below each."""
    return sum(shelf.height + gap for shelf in shelves)

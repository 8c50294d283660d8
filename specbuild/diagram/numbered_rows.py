"""Rows of a panel that the spec numbers, with `draw: {row: 2}` on a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specbuild.diagram.resolution_levels import MAX_LEVELLED_BOXES, MAX_TRACKS, LevelGrid
from specbuild.diagram.view_model import Link, Panel

Row = tuple[int, int]  # its number, and the track inside it


def arrange_rows(panel: Panel, order: Sequence[str]) -> LevelGrid | None:
    """Return the cells of the boxes of a panel with numbered rows; None for other panels.

    `order` has the keys of the boxes, each after its inputs.
    """
    hints = {box.key: box.row for box in panel.boxes if box.row is not None}
    if not any(isinstance(row, int) for row in hints.values()) or len(panel.boxes) > MAX_LEVELLED_BOXES:
        return None
    inputs: dict[str, list[Link]] = {key: [] for key in order}
    for link in panel.links:
        inputs[link.head].append(link)
    numbers = number_rows(order, inputs, hints)
    columns: dict[str, int] = {}
    tracks: dict[str, int] = {}
    taken: set[tuple[Row, int]] = set()
    for key in order:
        row = numbers[key]
        column = max((columns[link.tail] + (numbers[link.tail] == row) for link in inputs[key]), default=0)
        places = ((t, c) for c in range(column, column + len(order)) for t in range(MAX_TRACKS))
        track, column = next(
            (t, c) for t, c in places if ((row, t), c) not in taken and (t == 0 or key not in hints)
        )
        tracks[key], columns[key] = track, column
        taken.add(((row, track), column))
    return number_cells(order, numbers, tracks, columns)


def number_rows(
    order: Sequence[str], inputs: Mapping[str, Sequence[Link]], hints: Mapping[str, int | str]
) -> dict[str, int]:
    """Return the row of each box: its own, else that of the first value it reads.

    A box that reads nothing has the row of the first box that reads it; one with `new`, the row below its input.
    """
    numbers = {key: row for key, row in hints.items() if isinstance(row, int)}
    for key in order:
        before = [numbers[link.tail] for link in inputs[key] if link.tail in numbers]
        if key not in numbers and before:
            numbers[key] = before[0] + (hints.get(key) == "new")
    for key in reversed(order):
        for link in inputs[key]:
            if key in numbers:
                numbers.setdefault(link.tail, numbers[key])
    first = min(numbers.values())
    return {key: numbers.get(key, first) for key in order}


def number_cells(
    order: Sequence[str],
    numbers: Mapping[str, int],
    tracks: Mapping[str, int],
    columns: Mapping[str, int],
) -> LevelGrid:
    """Return the grid without the rows and columns in which no box is."""
    rows = sorted({(numbers[key], tracks[key]) for key in order})
    used = sorted(set(columns.values()))
    cells = {key: (rows.index((numbers[key], tracks[key])), used.index(columns[key])) for key in order}
    return LevelGrid(cells, len(rows), len(used))

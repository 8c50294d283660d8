"""Expressions for the tables of attention in windows: the index of relative positions, and the mask of shifted windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from specbuild.importing.formulas import Formula, write_numbers

if TYPE_CHECKING:
    from specbuild.importing.trace import Array

MAX_SIDE = 65


def list_windows(places: int) -> Iterator[tuple[int, int]]:
    """Yield the heights and widths of windows with this number of places, the squarest first."""
    pairs = [(places // width, width) for width in range(1, min(MAX_SIDE, places) + 1) if places % width == 0]
    yield from sorted(pairs, key=lambda pair: abs(pair[0] - pair[1]))


def find_window_index(data: Array, axes: Sequence[str]) -> Formula | None:
    """Return the number of the offset between two places of a window, as attention with relative positions counts it."""
    if data.ndim != 2 or data.shape[0] != data.shape[1] or data.dtype.kind != "i":
        return None
    row, column = np.indices(data.shape)
    first, second = axes
    for height, width in list_windows(data.shape[0]):
        down, right = row // width - column // width, row % width - column % width
        if width > 1 and np.array_equal(np.abs(down) * width + np.abs(right), data):
            w = "{window_size}"
            template = f"abs({first} // {w} - {second} // {w}) * {w} + abs({first} % {w} - {second} % {w})"
            numbers = {"window_size": width}
            return Formula(write_numbers(template, numbers), template, numbers)
        if width > 1 and np.array_equal((down + height - 1) * (2 * width - 1) + right + width - 1, data):
            text = (
                f"({first} // {width} - {second} // {width} + {height - 1}) * {2 * width - 1} "
                f"+ {first} % {width} - {second} % {width} + {width - 1}"
            )
            if height != width:
                return Formula(text, text, {})
            w = "{window_size}"
            template = (
                f"({first} // {w} - {second} // {w} + {w} - 1) * (2 * {w} - 1) "
                f"+ {first} % {w} - {second} % {w} + {w} - 1"
            )
            return Formula(text, template, {"window_size": width})
    return None


def find_window_mask(data: Array, axes: Sequence[str]) -> Formula | None:
    """Return the mask that keeps apart what only rolling brought into one window.

    The axes are those of the windows, in rows and columns, and twice the places in a window.
    """
    if data.ndim != 4 or data.shape[2] != data.shape[3] or data.dtype.kind != "f":
        return None
    values = np.unique(data)
    if len(values) != 2 or values[1] != 0:
        return None
    rows, columns, places, _ = data.shape
    wanted = data != 0
    for height, width in list_windows(places):
        for shift in range(1, min(height, width)):
            found = differ_in_region((rows, columns), (height, width), (shift, shift))
            if height == width and np.array_equal(found, wanted):
                return write_mask(axes, data.shape, width, shift, float(values[0]))
    return None


def differ_in_region(grid: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> Array:
    """Return whether two places of a window come from different sides of the map before it was rolled."""
    place = np.arange(window[0] * window[1])
    down = (np.arange(grid[0])[:, None] * window[0] + place // window[1] + shift[0]) // (grid[0] * window[0])
    right = (np.arange(grid[1])[:, None] * window[1] + place % window[1] + shift[1]) // (grid[1] * window[1])
    region = 2 * down[:, None] + right[None]
    differs: Array = region[..., :, None] != region[..., None, :]
    return differs


def write_mask(axes: Sequence[str], shape: Sequence[int], window: int, shift: int, value: float) -> Formula:
    rows, columns, one, other = axes
    w, s = "{window_size}", "{shift_size}"
    sides = [
        " != ".join(f"({line} * {w} + {place} {sign} {w} + {s}) // {whole}" for place in (one, other))
        for line, sign, whole in ((rows, "//", "{H}"), (columns, "%", "{W}"))
    ]
    template = f"where({' or '.join(sides)}, {value}, 0.0)"
    numbers = {"window_size": window, "shift_size": shift, "H": shape[0] * window, "W": shape[1] * window}
    return Formula(write_numbers(template, numbers), template, numbers)

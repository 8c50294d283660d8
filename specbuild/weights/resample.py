"""Resample tables on a grid to another grid: bicubic, in float64, along one axis of the grid after the other.

The three common methods are available:

* `align_corners` maps corners to corners, as torchvision's `interpolate_embeddings` does for position
  embeddings;
* without it, positions are the centres of squares, as in Swin and timm for relative positions;
* `antialias` is the same with a wider window where the grid shrinks, as timm does for position embeddings.

The results equal those of PyTorch's `interpolate(mode="bicubic")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

# The parameter of the cubic kernel in PyTorch: without and with antialias.
CUBIC_SLOPE, ANTIALIAS_SLOPE = -0.75, -0.5


def resample_axis(
    table: Array,
    axis: int,
    grids: tuple[Sequence[int], Sequence[int]],
    prefix: int,
    method: tuple[bool, bool],
) -> Array:
    """Resample a table whose axis is a grid in row-major order, after `prefix` rows that are kept.

    `grids` are the sides of the old and of the new grid, `method` is (align_corners, antialias).
    """
    import numpy as np

    old, new = grids
    rows = np.moveaxis(table, axis, 0)
    prefix_rows, positions = rows[:prefix], rows[prefix:].astype("float64")
    positions = positions.reshape(*old, *rows.shape[1:])
    for side, (old_size, new_size) in enumerate(zip(old, new, strict=True)):
        matrix = interpolation_matrix(old_size, new_size, *method)
        positions = np.moveaxis(np.tensordot(matrix, positions, (1, side)), 0, side)
    positions = positions.reshape(-1, *rows.shape[1:]).astype(table.dtype)
    return np.ascontiguousarray(np.moveaxis(np.concatenate([prefix_rows, positions]), 0, axis))


def interpolation_matrix(old: int, new: int, align_corners: bool, antialias: bool) -> Array:
    """Return the weight of each old position (column) in each new position (row)."""
    import numpy as np

    matrix = np.zeros((new, old))
    for i in range(new):
        if antialias:
            fill_antialiased_row(matrix[i], i, old / new)
            continue
        if align_corners:
            position = i * (old - 1) / (new - 1) if new > 1 else 0.0
        else:
            position = (i + 0.5) * old / new - 0.5
        for neighbour in range(floor(position) - 1, floor(position) + 3):
            inside = min(max(neighbour, 0), old - 1)  # beyond the edge, the edge is repeated
            matrix[i, inside] += cubic_kernel(position - neighbour, CUBIC_SLOPE)
    return matrix


def fill_antialiased_row(row: Array, i: int, scale: float) -> None:
    """Set the weights of new position `i`; the window grows with `scale` (old size / new size)."""
    width = max(scale, 1.0)
    centre = scale * (i + 0.5)
    first, last = max(int(centre - 2 * width + 0.5), 0), min(int(centre + 2 * width + 0.5), len(row))
    for position in range(first, last):
        row[position] = cubic_kernel((position - centre + 0.5) / width, ANTIALIAS_SLOPE)
    row /= row.sum()


def cubic_kernel(x: float, a: float) -> float:
    """Keys' cubic convolution kernel."""
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0

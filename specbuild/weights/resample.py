"""Tables on a grid, resampled to another one: bicubic, in double precision, one axis of the grid after the other.

Three forms are in use, and all three are here:

* corners on corners (`align_corners`), as torchvision's `interpolate_embeddings` does with positions;
* places as squares, as the authors of Swin, and timm, do with relative positions;
* so too, and with a wider window where the grid shrinks (`antialias`), as timm does with positions.

The numbers are those of PyTorch's `interpolate(mode="bicubic")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

CUBIC_SLOPE, ANTIALIAS_SLOPE = (
    -0.75,
    -0.5,
)  # the cubic's slope at its first zero: PyTorch's own, and with antialias


def resample_axis(
    table: Array, axis: int, grids: tuple[Sequence[int], Sequence[int]], prefix: int, form: tuple[bool, bool]
) -> Array:
    """A table whose rows along one axis, after those of the prefix, are the places of a grid, row-major."""
    import numpy as np

    old, new = grids
    rows = np.moveaxis(table, axis, 0)
    prefix_rows, positions = rows[:prefix], rows[prefix:].astype("float64")
    positions = positions.reshape(*old, *rows.shape[1:])
    for at, (few, many) in enumerate(zip(old, new, strict=True)):
        positions = np.moveaxis(
            np.tensordot(interpolation_matrix(few, many, *form), positions, (1, at)), 0, at
        )
    positions = positions.reshape(-1, *rows.shape[1:]).astype(table.dtype)
    return np.ascontiguousarray(np.moveaxis(np.concatenate([prefix_rows, positions]), 0, axis))


def interpolation_matrix(old: int, new: int, align_corners: bool, antialias: bool) -> Array:
    """What each new place takes of each old one."""
    import numpy as np

    matrix = np.zeros((new, old))
    for i in range(new):
        if antialias:
            fill_antialiased_row(matrix[i], i, old / new)
        else:
            aligned = i * (old - 1) / (new - 1) if new > 1 else 0.0
            at = aligned if align_corners else (i + 0.5) * old / new - 0.5
            for place in range(floor(at) - 1, floor(at) + 3):
                matrix[i, min(max(place, 0), old - 1)] += cubic_kernel(
                    at - place, CUBIC_SLOPE
                )  # what lies outside is the edge
    return matrix


def fill_antialiased_row(row: Array, i: int, scale: float) -> None:
    """The weights of one new place under a window as wide as the new grid's, cut off at the edges."""
    wide = max(scale, 1.0)
    centre = scale * (i + 0.5)
    first, last = max(int(centre - 2 * wide + 0.5), 0), min(int(centre + 2 * wide + 0.5), len(row))
    for place in range(first, last):
        row[place] = cubic_kernel((place - centre + 0.5) / wide, ANTIALIAS_SLOPE)
    row /= row.sum()


def cubic_kernel(x: float, a: float) -> float:
    """Keys' cubic convolution kernel."""
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0

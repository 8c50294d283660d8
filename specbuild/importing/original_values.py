"""Values of the original model in canonical order, and how far they are from those of the emitted one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from specbuild.importing.named_values import BATCH, Dim
from specbuild.ops.types import TensorType
from specbuild.weights.statistics import relative_difference


def arrange_value(value: Any, dims: Sequence[Dim], wanted: TensorType, batch: int) -> Any:
    """Return a value whose dimensions are made of these axes in canonical order. Raises ValueError for other sizes."""
    axes, order, sizes = list_named_axes(dims, wanted, batch)
    return value.reshape([sizes[a] for a in axes]).transpose([axes.index(a) for a in order])


def restore_value(value: Any, dims: Sequence[Dim], given: TensorType, batch: int) -> Any:
    """Return a canonical value with the dimensions of the original: the inverse of `arrange_value`."""
    axes, order, sizes = list_named_axes(dims, given, batch)
    moved = value.transpose([order.index(a) for a in axes])
    return moved.reshape([math.prod(sizes[a] for a in dim) for dim in dims])


def list_named_axes(
    dims: Sequence[Dim], shape: TensorType, batch: int
) -> tuple[list[str], list[str], dict[str, int]]:
    """Return the axes in the original's order and in canonical order, and their sizes. Raises ValueError if they are others."""
    axes = [axis for dim in dims for axis in dim]
    order = ([BATCH] if shape.batched else []) + list(shape.axes)
    if sorted(axes) != sorted(order):
        raise ValueError(f"the axes {axes} are not {order}")
    return axes, order, {BATCH: batch, **{a: int(n) for a, n in shape.sizes.items()}}


def measure_values(original: Any, emitted: Any, least: float = 0.0) -> float:
    """Return the largest difference over the largest number, or over `least` if that is larger."""
    if original.shape != emitted.shape:
        return float("inf")
    size = float(abs(original).max()) if original.size else 0.0
    share = min(1.0, size / least) if least else 1.0
    return relative_difference(original, emitted) * share

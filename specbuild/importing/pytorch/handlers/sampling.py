"""Sampling a map at the points of a grid, and the grid of an affine map."""

from __future__ import annotations

from typing import Any

from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Step, Unsupported
from specbuild.importing.products import multiply_matrices
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.windows import Window


@lowers("grid_sample")
def lower_grid_sample(
    low: Lowerer,
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> NamedValue:
    if mode not in ("bilinear", "nearest"):
        raise Unsupported(f"grid_sample with the mode {mode}")
    window = Window.find(low, low.value(input), 2)
    points = low.value(grid)
    for dim, axis in ((-1, "C"), (-3, window.axes[0]), (-2, window.axes[1])):
        points, _ = require_axis(low, points, dim, axis)
    attributes: dict[str, Any] = {} if window.axes == ("H", "W") else {"over": list(window.axes[::-1])}
    attributes |= {} if mode == "bilinear" else {"mode": mode}
    attributes |= {} if padding_mode == "zeros" else {"padding_mode": padding_mode}
    attributes |= {"align_corners": True} if align_corners else {}
    sizes = {axis: points.axes[axis] for axis in window.axes}
    return low.emit("grid_sample", [window.value, points], attributes, sizes=sizes, roles=("x", "grid"))


@lowers("affine_grid")
def lower_affine_grid(low: Lowerer, theta: Any, size: Any, align_corners: bool | None = None) -> NamedValue:
    """Lower the points at which an affine map of two rows samples: a product with places from -1 to 1."""
    if len(size) != 4:
        raise Unsupported("affine_grid of a volume")
    height, width = size[-2:]
    axes = {"H": height, "W": width, "K": 3}
    columns, rows = (
        f"2 * {axis} / {n - 1} - 1" if align_corners else f"(2 * {axis} + 1) / {n} - 1"
        for axis, n in (("W", width), ("H", height))
    )
    value = f"where(K == 0, {columns}, where(K == 1, {rows}, 1.0))"
    step = Step("const", {"axes": dict(axes), "value": value}, axes=axes, hint="places")
    places = low.add_step(step, tuple((axis,) for axis in axes))
    matrix = low.value(theta)
    turned = matrix.with_dims([matrix.dims[0], (), matrix.dims[2], matrix.dims[1]])
    return multiply_matrices(low, places.with_dims([(), *places.dims]), turned)

"""Resample tables whose rows are the positions of a grid, such as position embeddings, to another grid.

The grids are those that the user states, else the model's grid as `table_grids` infers it, else squares.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from specbuild.diagnostics.suggestions import join_names
from specbuild.ops.types import CHANNEL, SPATIAL
from specbuild.weights.adapt_options import RESAMPLE, Adaptation, Sides
from specbuild.weights.mismatch import MismatchedWeight
from specbuild.weights.resample import resample_axis
from specbuild.weights.table_grids import infer_grid

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

MAX_PREFIX = 2  # the most rows before a square grid: a class token and a distillation token


class GridChange(NamedTuple):
    """An axis to resample: its grid in the file and in the model, and the number of rows before the grid."""

    axis: int
    old: Sides
    new: Sides
    prefix: int = 0


def adapt_table(weight: MismatchedWeight, adaptation: Adaptation) -> tuple[Array, str]:
    """Return the table on the model's grid, and a description."""
    value, changes = weight.value, plan_resampling(weight, adaptation)
    method = (adaptation.align_corners, adaptation.antialias)
    for axis, old, new, prefix in changes:
        value = resample_axis(value, axis, (old, new), prefix, method)
    old_grid = "x".join(str(n) for change in changes for n in change.old)
    new_grid = "x".join(str(n) for change in changes for n in change.new)
    rows = sum(change.prefix for change in changes)
    after = f" after {rows} {'row' if rows == 1 else 'rows'}" if rows else ""
    return value, f"{RESAMPLE} {old_grid} to {new_grid}{after}"


def plan_resampling(weight: MismatchedWeight, adaptation: Adaptation) -> list[GridChange]:
    """Find the axes to resample and their grids; raises SpecError SB807 if they are unknown."""
    if not weight.location.spec.is_table:
        weight.reject_mode(RESAMPLE, "it is only for tables, which are steps `weight` and `embedding`")
    if weight.value.ndim != len(weight.location.shape):
        weight.reject_mode(RESAMPLE, "the file's tensor has another number of axes")
    differing, names = weight.differing_axes, weight.axis_names
    states_sides = bool(adaptation.old_sides or adaptation.new_sides)
    if differing and not states_sides and all(names[i] in SPATIAL for i in differing):
        sizes = zip(weight.value.shape, weight.location.shape, strict=True)
        return [GridChange(i, (old,), (new,)) for i, (old, new) in enumerate(sizes) if i in differing]
    if not differing:  # another grid with as many positions
        row_count = prod(adaptation.new_sides or ()) + (adaptation.prefix or 0)
        differing = [i for i, size in enumerate(weight.location.shape) if size == row_count]
        if not differing:
            weight.reject_mode(RESAMPLE, "no axis has the size of the grid")
    if len(differing) != 1:
        axes = join_names([names[i] for i in differing])
        reason = "have other sizes" if weight.differing_axes else "could be the grid"
        weight.reject_mode(RESAMPLE, f"it changes one axis, but {axes} {reason}")
    return [find_grid_change(weight, adaptation, differing[0])]


def find_grid_change(weight: MismatchedWeight, adaptation: Adaptation, axis: int) -> GridChange:
    """Return the grids of one axis; raises SpecError SB807 if they are unknown or do not match the rows."""
    old_size, new_size = weight.value.shape[axis], weight.location.shape[axis]
    name = weight.axis_names[axis]
    inferred = None if weight.node.inputs else infer_grid(weight.block, weight.node, name)
    old, new, prefix = adaptation.old_sides, adaptation.new_sides, adaptation.prefix
    if name == CHANNEL and not (old and new):
        weight.reject_mode(RESAMPLE, "channels are not a grid", "state from=... and to=... if they are one")
    if new is None and inferred is not None and (old is None or len(old) == len(inferred.sides)):
        new = inferred.sides
    if prefix is None:
        prefix = inferred.prefix if inferred else count_prefix_rows(old, new, old_size, new_size)
    dimensions = len(old or new or (0, 0))
    old = old or square_sides(old_size - prefix, dimensions)
    new = new or square_sides(new_size - prefix, dimensions)
    example = f"'{adaptation.pattern}={RESAMPLE}(prefix=1, from=14x14, to=16x16)'"
    hint = f"state the rows before the grid and its sides: {example}"
    if old is None or new is None:
        size, place = (old_size, "in the file") if old is None else (new_size, "in the model")
        after = f" after {prefix}" if prefix else ""
        weight.reject_mode(RESAMPLE, f"the grid of the {size:,} rows {place}{after} is unknown", hint)
    for sides, size, place in ((old, old_size, "the file"), (new, new_size, "the model")):
        if prefix + prod(sides) != size:
            grid = "x".join(map(str, sides))
            weight.reject_mode(RESAMPLE, f"{place} has {size:,} rows, not {prefix} and {grid}", hint)
    return GridChange(axis, old, new, prefix)


def count_prefix_rows(old: Sides | None, new: Sides | None, old_size: int, new_size: int) -> int:
    """Return the number of rows before the grid: what a stated grid leaves, else as few as leave two squares."""
    if new is not None:
        return max(new_size - prod(new), 0)
    if old is not None:
        return max(old_size - prod(old), 0)
    for prefix in range(MAX_PREFIX + 1):
        if square_sides(old_size - prefix, 2) and square_sides(new_size - prefix, 2):
            return prefix
    return 0


def square_sides(positions: int, dimensions: int) -> Sides | None:
    """Return the sides of a grid with equal sides; None if there is none with so many positions."""
    if dimensions == 1:
        return (positions,)
    side = isqrt(max(positions, 0))
    return (side, side) if dimensions == 2 and side and side * side == positions else None

"""Formulas for new weights: functions of the old ones, which they ask for by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from specbuild.ops.norm import BatchNorm

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

FindWeight: TypeAlias = "Callable[[str], Array]"  # an old weight in float64, by its path
Formula: TypeAlias = "Callable[[FindWeight], Array]"


def weight_formula(path: str) -> Formula:
    """Return the formula of an old weight itself."""
    return lambda find: find(path)


def relocate_formula(formula: Formula, step: str) -> Formula:
    """Return the formula for the block around: the paths in it lie inside this step there."""
    return lambda find: formula(lambda path: find(f"{step}.{path}"))


class Affine(Struct, frozen=True):
    """A factor for each channel, and then a number that is added to it. None: 1, or 0."""

    factor: Formula | None
    shift: Formula | None


def norm_affine(name: str, norm: BatchNorm) -> Affine:
    """Return what a batch norm computes when it is not trained; `name` is its step."""

    def read_values(find: FindWeight) -> tuple[Array, Array]:
        return norm.affine_values(lambda weight: find(f"{name}.{weight}"))

    return Affine(lambda find: read_values(find)[0], lambda find: read_values(find)[1])


def relocate_affine(affine: Affine, step: str) -> Affine:
    """Return the same for the block around, as `relocate_formula` does."""
    factor, shift = (f and relocate_formula(f, step) for f in (affine.factor, affine.shift))
    return Affine(factor, shift)


NewWeights: TypeAlias = Mapping[str, Formula]  # of one step, by their names

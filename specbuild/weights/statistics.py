"""Statistics of a tensor, and the difference of two tensors."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


class TensorStatistics(Struct, frozen=True):
    """Statistics of one tensor, over its finite elements; None if there are none."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    mean: float | None
    deviation: float | None
    not_finite: int

    @property
    def element_count(self) -> int:
        return prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape)}


def tensor_statistics(name: str, value: Array) -> TensorStatistics:
    import numpy as np

    finite = value[np.isfinite(value)].astype("float64")

    def reduce_finite(function: Any) -> float | None:
        return float(function(finite)) if finite.size else None

    return TensorStatistics(
        name=name,
        shape=tuple(value.shape),
        dtype=str(value.dtype),
        low=reduce_finite(np.min),
        high=reduce_finite(np.max),
        mean=reduce_finite(np.mean),
        deviation=reduce_finite(np.std),
        not_finite=int(value.size - finite.size),
    )


class TensorDifference(Struct, frozen=True):
    """The difference of one tensor in two files, relative to its largest number.

    `relative` is None if it cannot be computed, and `problem` says why.
    """

    name: str
    relative: float | None
    problem: str = ""

    def __str__(self) -> str:
        return self.problem or f"{self.relative:.1e}"

    def to_json(self) -> dict[str, Any]:
        finite = self.relative is not None and self.relative < float("inf")
        return {"name": self.name, "relative": self.relative if finite else None, "problem": self.problem}


def relative_difference(a: Array, b: Array) -> float:
    """Return the largest |a - b| divided by the largest |a|; NaN at the same position counts as equal."""
    import numpy as np

    a, b = a.astype("float64"), b.astype("float64")
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(a))), 1e-30))

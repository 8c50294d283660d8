"""Tensors in figures: what each holds, and how far two are apart."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor of a file, in numbers."""

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
        return {**self.__dict__, "shape": list(self.shape)}


def tensor_statistics(name: str, value: Array) -> TensorStatistics:
    import numpy as np

    good = value[np.isfinite(value)].astype("float64")
    numbers = (
        [float(f(good)) for f in (np.min, np.max, np.mean, np.std)] if good.size else [None, None, None, None]
    )
    low, high, mean, deviation = numbers
    bad = int(value.size - good.size)
    return TensorStatistics(name, tuple(value.shape), str(value.dtype), low, high, mean, deviation, bad)


@dataclass(frozen=True)
class TensorDifference:
    """How far one tensor is apart in two files: `relative` to its largest number; None where one file lacks it."""

    name: str
    relative: float | None
    problem: str = ""

    def __str__(self) -> str:
        return self.problem or f"{self.relative:.1e}"

    def to_json(self) -> dict[str, Any]:
        finite = self.relative is not None and self.relative < float("inf")
        return {"name": self.name, "relative": self.relative if finite else None, "said": self.problem}


def relative_difference(a: Array, b: Array) -> float:
    """The largest difference over the largest number; equal NaN are equal."""
    import numpy as np

    a, b = a.astype("float64"), b.astype("float64")
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(a))), 1e-30))

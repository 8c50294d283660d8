"""Named axes: the type of a value is its axes by name, with a size each; the batch is implicit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from specbuild.expressions import concrete

CHANNEL = "C"
SPATIAL = ("D", "H", "W")  # always in this order, whatever order the author writes

MAX_AXIS = 2**20
MAX_ELEMENTS = 2**31 - 1


class ShapeError(Exception):
    """Sizes or axes that do not fit; the elaborator adds the place and the trail."""

    def __init__(self, code: str, message: str, hint: str = ""):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True)
class TensorType:
    """The type of a value: `sizes` by axis name, `dtype` (float, int32 or bool).

    `batched` is false for what has no batch axis: a free weight or a constant table.
    The order of `sizes` is only the order of mention; each backend decides the physical one.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    dtype: str = "float"
    batched: bool = True

    def __post_init__(self) -> None:
        for axis, size in self.sizes.items():
            if size < 1:
                raise ShapeError(
                    "SB403",
                    f"axis {axis} would have size {concrete(size)}",
                    "every axis needs a size of at least 1",
                )
            if size > MAX_AXIS:
                raise ShapeError(
                    "SB504",
                    f"axis {axis} would have size {concrete(size):,}",
                    f"an axis holds at most {MAX_AXIS:,}",
                )
        if prod(concrete(size) for size in self.sizes.values()) > MAX_ELEMENTS:
            raise ShapeError(
                "SB504", f"a value of {self} is too large", f"a value holds at most {MAX_ELEMENTS:,} elements"
            )

    def __getitem__(self, axis: str) -> int:
        try:
            return self.sizes[axis]
        except KeyError:
            raise ShapeError(
                "SB404", f"there is no axis {axis} in {self}", f"its axes are {join_names(self.sizes)}"
            ) from None

    def __contains__(self, axis: str) -> bool:
        return axis in self.sizes

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    @property
    def element_count(self) -> int:
        """How many numbers one sample holds."""
        return prod(concrete(size) for size in self.sizes.values())

    def with_sizes(self, sizes: Mapping[str, int]) -> TensorType:
        """The same value with other sizes; an axis that it lacks is added at the end."""
        return TensorType({**self.sizes, **sizes}, self.dtype, self.batched)

    def without_axes(self, *axes: str) -> TensorType:
        for axis in axes:
            self[axis]
        return TensorType({a: n for a, n in self.sizes.items() if a not in axes}, self.dtype, self.batched)

    def replace_axes(self, axis: str | Iterable[str], by: Mapping[str, int]) -> TensorType:
        """One axis, or several, exchanged for others, at the place of the last of them."""
        gone = (axis,) if isinstance(axis, str) else tuple(axis)
        for a in gone:
            self[a]
        last = [a for a in self.sizes if a in gone][-1]
        sizes: dict[str, int] = {}
        for a, n in self.sizes.items():
            if a == last:
                for name, size in by.items():
                    if name in sizes or (name in self.sizes and name not in gone):
                        raise ShapeError("SB401", f"there is an axis {name} already in {self}")
                    sizes[name] = size
            elif a not in gone:
                sizes[a] = n
        return TensorType(sizes, self.dtype, self.batched)

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(self.sizes, dtype, self.batched)

    def has_same_sizes(self, other: TensorType) -> bool:
        return dict(self.sizes) == dict(other.sizes)

    def __str__(self) -> str:
        inner = ", ".join(f"{axis}: {concrete(size)}" for axis, size in self.sizes.items())
        return "{" + inner + "}" + ("" if self.dtype == "float" else f" {self.dtype}")


def join_names(words: Iterable[str]) -> str:
    """Names for a message: "C, H and W"; "none" if there are none."""
    *rest, last = list(words) or ["none"]
    return f"{', '.join(rest)} and {last}" if rest else last


def spatial_axes(x: TensorType) -> tuple[str, ...]:
    """The axes that a window slides over unless told otherwise: D, H, W; else the one axis beside C."""
    found = tuple(a for a in SPATIAL if a in x)
    return found or tuple(a for a in x.axes if a != CHANNEL)

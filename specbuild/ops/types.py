"""The type of a value: named axes with their sizes, and a dtype. The batch axis is implicit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod

from msgspec import Struct, field

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, expression_of

CHANNEL = "C"
SPATIAL = ("D", "H", "W")  # always in this order, even if the spec lists them in another

MAX_AXIS = 2**20
MAX_ELEMENTS = 2**31 - 1


class ShapeError(Exception):
    """Axes or sizes that do not fit. `specbuild.elaborate` adds the location and the enclosing blocks."""

    def __init__(self, code: str, message: str, hint: str = ""):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class UnequalSizes(ShapeError):
    """Two values of one op have unequal sizes. `specbuild.elaborate` names them, and says how to make them equal.

    `first` and `second` are their positions among `types`, the inputs of the op; `axes` are the unequal ones.
    """

    def __init__(self, rule: str, types: Sequence[TensorType], first: int, second: int, axes: Sequence[str]):
        super().__init__("SB401", f"{rule}; got {types[first]} and {types[second]}")
        self.rule, self.types, self.axes = rule, types, axes
        self.first, self.second = first, second


class BatchNeeded(ShapeError):
    """An op that needs a batch gets a value without one. `specbuild.elaborate` then gives it a batch."""


class TensorType(Struct, frozen=True):
    """The type of a value: `sizes` by axis name, and `dtype` (float, int32 or bool).

    `batched` is false for values without a batch axis: weights and constant tables.
    The order of `sizes` has no meaning: each backend chooses the memory layout.
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
                    f"the largest size of an axis is {MAX_AXIS:,}",
                )
        if prod(concrete(size) for size in self.sizes.values()) > MAX_ELEMENTS:
            raise ShapeError(
                "SB504", f"a value of {self} is too large", f"a value holds at most {MAX_ELEMENTS:,} elements"
            )

    def __getitem__(self, axis: str) -> int:
        try:
            return self.sizes[axis]
        except KeyError:
            hint = suggest_axis_name(axis, self.sizes) or f"its axes are {join_names(self.sizes)}"
            raise ShapeError("SB404", f"there is no axis {axis} in {self}", hint) from None

    def __contains__(self, axis: str) -> bool:
        return axis in self.sizes

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    @property
    def element_count(self) -> int:
        """The number of elements of one sample."""
        return prod(concrete(size) for size in self.sizes.values())

    def with_sizes(self, sizes: Mapping[str, int]) -> TensorType:
        """Return the type with some sizes replaced. New axes are added at the end."""
        return TensorType({**self.sizes, **sizes}, self.dtype, self.batched)

    def without_axes(self, *axes: str) -> TensorType:
        """Return the type without these axes; raises ShapeError SB404 if it lacks one."""
        for axis in axes:
            self[axis]
        return TensorType({a: n for a, n in self.sizes.items() if a not in axes}, self.dtype, self.batched)

    def replace_axes(self, old: str | Iterable[str], new: Mapping[str, int]) -> TensorType:
        """Return the type with one or more axes replaced by `new`, at the position of the last of them.

        Raises ShapeError SB404 if an old axis is missing, SB401 if a new one exists already.
        """
        removed = (old,) if isinstance(old, str) else tuple(old)
        for axis in removed:
            self[axis]
        last = [axis for axis in self.sizes if axis in removed][-1]
        sizes: dict[str, int] = {}
        for axis, size in self.sizes.items():
            if axis == last:
                for name in new:
                    if name in sizes or (name in self.sizes and name not in removed):
                        raise ShapeError("SB401", f"{self} already has an axis {name}")
                sizes |= new
            elif axis not in removed:
                sizes[axis] = size
        return TensorType(sizes, self.dtype, self.batched)

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(self.sizes, dtype, self.batched)

    def with_batch(self) -> TensorType:
        """Return the type with a batch."""
        return self if self.batched else TensorType(self.sizes, self.dtype)

    def has_same_sizes(self, other: TensorType) -> bool:
        return dict(self.sizes) == dict(other.sizes)

    def __str__(self) -> str:
        return self.describe()

    def describe(self, free: Collection[str] = ()) -> str:
        """Return `{C: 3, H: 64, W: 64}`, with the type of numbers that are no floats; axes in `free` get a star: `H: 64*`."""
        sizes = (
            f"{axis}: {concrete(size)}{'*' if axis in free else ''}" for axis, size in self.sizes.items()
        )
        return "{" + ", ".join(sizes) + "}" + ("" if self.dtype == "float" else f" {self.dtype}")


def share_axes(
    xs: Sequence[TensorType | None], excluded: Collection[str] = ()
) -> list[list[tuple[int, str]]]:
    """Return the axes that values share in one size, each as the numbers of these values with its name.

    A size of 1 is not among them: it is repeated.
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for index, x in enumerate(xs):
        for axis, size in x.sizes.items() if x is not None else ():
            if size != 1 and axis not in excluded:
                groups.setdefault(axis, []).append((index, axis))
    return [group for group in groups.values() if len(group) > 1]


def spatial_axes(x: TensorType) -> tuple[str, ...]:
    """Return the axes that a window slides over by default: those of D, H and W.

    Without these, all except C.
    """
    axes = tuple(axis for axis in SPATIAL if axis in x)
    return axes or tuple(axis for axis in x.axes if axis != CHANNEL)


# What some call the axes that ops look for.
AXIS_WORDS = {
    CHANNEL: "channel channels c features dim chan".split(),
    "D": "depth d".split(),
    "H": "height h rows".split(),
    "W": "width w columns cols".split(),
}


def suggest_axis_name(axis: str, known: Iterable[str]) -> str:
    """Return the hint that an axis has a longer name, such as `channels` for C, or a shorter one; empty if it has none."""
    known = list(known)
    if (letter := next((a for a in known if axis.lower() in AXIS_WORDS.get(a, ())), None)) is not None:
        return f"write `{letter}`, the axis of {axis}"
    word = next((name for name in known if name.lower() in AXIS_WORDS.get(axis, ())), None)
    return f"call the axis {axis}, not {word!r}: ops know axes by their names C, D, H and W" if word else ""


def stable_size(axis: str, parts: Sequence[int], size: int) -> int:
    """Return the size of an axis that is computed from `parts`; without its expression if one of them has none.

    Such a part may be the size of an input, which can be another one at run time. The number of channels
    cannot, and keeps its expression.
    """
    return size if axis == CHANNEL or all(expression_of(n) is not None for n in parts) else concrete(size)

"""Ops that select, join and repeat positions: slice, split, stack, roll, new axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specbuild.expressions import concrete, expression_of, symbolic_chain, symbolic_formula
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, Boolean, Integer, PartSizes
from specbuild.ops.base import AxisStride, InputSpec, Op, PositionSource, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, stable_size


@register_op("arrangement")
class Slice(Op):
    """Every `step`-th position of an axis from `start` up to `stop`, or one position `at`, without the axis.

    Negative positions count from the end, as in Python.
    """

    can_inline = True
    over: str = attribute_field(AxisName(), "axis to slice")
    start: int = attribute_field(Integer(), "first position of the slice", 0)
    stop: int | None = attribute_field(Integer(), "first position after the slice; by default the end", None)
    step: int = attribute_field(Integer(1), "distance between the positions of the slice", 1)
    at: int | None = attribute_field(Integer(), "one position to select; the axis is removed", None)

    @property
    def accepts_too_little(self) -> bool:
        return True

    def least_sizes(self, x: TensorType) -> Iterable[tuple[int, str, int]]:
        if self.at is not None or self.start < 0:
            return []
        if self.stop is not None and self.stop < 0:
            return [(0, self.over, symbolic_formula("start - stop + 1", start=self.start, stop=self.stop))]
        return [(0, self.over, symbolic_formula("start + 1", start=self.start))]

    def infer_type(self, x: TensorType) -> TensorType:
        size = concrete(x[self.over])
        if self.at is not None:
            if (self.start, self.stop, self.step) != (0, None, 1):
                raise ShapeError(
                    "SB102",
                    "`at` cannot be combined with `start`, `stop` and `step`",
                    "`at` selects one position and removes the axis",
                )
            if not -size <= self.at < size:
                raise ShapeError(
                    "SB403",
                    f"axis {self.over} of size {size} has no position {concrete(self.at)}",
                    "positions are counted from 0",
                )
            return x.without_axes(self.over)
        size = self.output_size(x[self.over])
        bounds = [x[self.over] if self.stop is None else self.stop, *([self.start] if self.start else [])]
        return x.with_sizes({self.over: stable_size(self.over, bounds, size)})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {} if self.at is not None else {self.over: AxisStride(self.over, concrete(self.step))}

    def output_size(self, size: int) -> int:
        """Return the size of the axis after slicing; symbolic if all numbers of its formula are."""
        count = len(range(*slice(self.start, self.stop, self.step).indices(size)))
        if self.step == 1 and self.start >= 0 and (self.stop is None or 0 <= self.stop <= size):
            stop = size if self.stop is None else self.stop
            difference: int = (
                stop if self.start == 0 else symbolic_formula("stop - start", start=self.start, stop=stop)
            )
            return difference if difference == count else count
        return count

    def caption(self) -> str:
        if self.at is not None:
            return f"{self.over} at {concrete(self.at)}"
        start = concrete(self.start) if self.start else ""
        stop = "" if self.stop is None else concrete(self.stop)
        return f"{self.over} {start}:{stop}"


@register_op("arrangement")
class Split(Op):
    """Split a value along an axis into several parts, each read by its name: `qkv.query`.

    With `keep: false`, each part is one position of the axis, and loses the axis.
    """

    can_inline = True
    over: str = attribute_field(AxisName(), "axis to split", CHANNEL)
    into: Mapping[str, int] | tuple[str, ...] = attribute_field(
        PartSizes(),
        "names of equal parts, or a mapping from names to sizes, one of which may be -1: the rest",
    )
    keep: bool = attribute_field(
        Boolean(), "whether parts keep the axis; without it, each needs size 1", True, role="detail"
    )

    @property
    def accepts_too_little(self) -> bool:
        return True

    def least_sizes(self, x: TensorType) -> Iterable[tuple[int, str, int]]:
        parts = list(self.into.values()) if isinstance(self.into, Mapping) else []
        return (
            [(0, self.over, symbolic_chain("+", [*(n for n in parts if n != -1), 1]))] if -1 in parts else []
        )

    def infer_type(self, x: TensorType) -> TensorType:
        return next(iter(self.part_types(x).values()))

    def part_types(self, x: TensorType) -> dict[str, TensorType]:
        sizes = self.part_sizes(x)
        if self.keep:
            return {name: x.with_sizes({self.over: size}) for name, size in sizes.items()}
        for name, size in sizes.items():
            if concrete(size) != 1:
                raise ShapeError(
                    "SB401",
                    f"part {name} has {concrete(size)} positions of axis {self.over}, so it cannot lose the axis",
                    f"name a part for each of the {concrete(x[self.over])} positions, or leave out `keep: false`",
                )
        return dict.fromkeys(sizes, x.without_axes(self.over))

    def remainders(self, x: TensorType) -> tuple[int, ...]:
        whole = x[self.over]
        if isinstance(self.into, Mapping) or (self.over != CHANNEL and expression_of(whole) is None):
            return ()  # the size of such an axis is that of an input, which can have another one
        return (symbolic_formula("whole % count", whole=whole, count=len(self.into)),)

    def part_sizes(self, x: TensorType) -> dict[str, int]:
        """Return the size of each part."""
        whole = x[self.over]
        if not isinstance(self.into, Mapping):
            count = len(self.into)
            if concrete(whole) % count:
                raise ShapeError(
                    "SB401",
                    f"axis {self.over} of size {concrete(whole)} cannot be split into {count} equal parts",
                )
            return dict.fromkeys(self.into, symbolic_formula("whole // count", whole=whole, count=count))
        known = [n for n in self.into.values() if n != -1]
        if len(known) < len(self.into) - 1:
            raise ShapeError("SB403", "only one size can be -1")
        rest = concrete(whole) - sum(map(concrete, known))
        if rest < 0 or (rest > 0) != (len(known) < len(self.into)):
            parts = " + ".join("?" if n == -1 else str(concrete(n)) for n in self.into.values())
            raise ShapeError(
                "SB401", f"axis {self.over} of size {concrete(whole)} cannot be split into {parts}"
            )
        if len(known) < len(self.into):
            rest = stable_size(self.over, [whole], symbolic_chain("-", [whole, *known]))
        return {name: rest if n == -1 else n for name, n in self.into.items()}

    def fixed_sizes(self, x: TensorType) -> Iterable[tuple[int, str, int]]:
        parts = list(self.into.values()) if isinstance(self.into, Mapping) else [-1]
        return [] if -1 in parts else [(0, self.over, symbolic_chain("+", parts))]

    def caption(self) -> str:
        return f"{self.over} → {', '.join(self.into)}"


@register_op("arrangement")
class Stack(Op):
    """Join values with equal axes along a new axis."""

    input_specs = (InputSpec("of", "the values", variadic=True),)
    can_inline = True
    axis: str = attribute_field(AxisName(), "the new axis")

    def infer_type(self, *xs: TensorType) -> TensorType:
        for x in xs[1:]:
            if not x.has_same_sizes(xs[0]) or x.dtype != xs[0].dtype:
                raise ShapeError("SB401", f"stack needs values of the same type; got {xs[0]} and {x}")
        if self.axis in xs[0]:
            raise ShapeError(
                "SB401",
                f"{xs[0]} already has an axis {self.axis}",
                "use `concat` to join along an existing axis",
            )
        return TensorType({self.axis: len(xs), **xs[0].sizes}, xs[0].dtype, any(x.batched for x in xs))

    def caption(self) -> str:
        return f"→ {self.axis}"


@register_op("arrangement")
class Expand(Op):
    """Add axes and repeat the value along them."""

    can_inline = True
    axes: Mapping[str, int] = attribute_field(AxisMapping(Integer(1)), "the new axes with their sizes")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.axes:
            if axis in x:
                raise ShapeError("SB401", f"{x} already has an axis {axis}")
        return TensorType({**self.axes, **x.sizes}, x.dtype, x.batched)


@register_op("arrangement")
class Squeeze(Op):
    """Remove axes of size 1."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes to remove")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            if x[axis] != 1:
                raise ShapeError(
                    "SB401",
                    f"axis {axis} has size {concrete(x[axis])}, not 1",
                    "use `mean` or `slice` to remove a longer axis",
                )
        return x.without_axes(*self.over)

    def caption(self) -> str:
        return ", ".join(self.over)


@register_op("arrangement")
class Roll(Op):
    """Shift positions along axes; what leaves at one end comes back at the other."""

    can_inline = True
    shift: Mapping[str, int] = attribute_field(AxisMapping(Integer()), "shift along each axis")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.shift:
            x[axis]
        return x

    def size_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return PositionSource()


@register_op("arrangement")
class Flip(Op):
    """Reverse the order of the positions along axes."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes to reverse")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return x

    def size_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return PositionSource()


class Repetition(Op):
    """Make an axis several times as long."""

    can_inline = True
    over: str
    times: int

    def infer_type(self, x: TensorType) -> TensorType:
        return x.with_sizes(
            {
                self.over: stable_size(
                    self.over,
                    [x[self.over]],
                    symbolic_formula("size * times", size=x[self.over], times=self.times),
                )
            }
        )


@register_op("arrangement")
class Tile(Repetition):
    """Repeat an axis as a whole: a b becomes a b a b."""

    over: str = attribute_field(AxisName(), "axis to repeat")
    times: int = attribute_field(Integer(1), "number of repetitions")


@register_op("arrangement")
class RepeatInterleave(Repetition):
    """Repeat each position of an axis: a b becomes a a b b (grouped-query attention, arXiv 2305.13245)."""

    over: str = attribute_field(AxisName(), "axis whose positions are repeated")
    times: int = attribute_field(Integer(1), "number of repetitions of each position")

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {self.over: AxisStride(self.over, 1, concrete(self.times))}

"""Ops that pick, join and repeat places: slices, parts, stacks, rolls, new axes."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, Integer, PartSizes
from specbuild.ops.base import AxisStride, InputSpec, Op, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType


@register_op("arrangement")
class Slice(Op):
    """Some places of one axis: from `start` to before `stop`, every `step`-th; or the one place `at`, without the axis.

    Negative places count from the end, as in Python.
    """

    can_inline = True
    over: str = attribute_field(AxisName(), "axis that is cut")
    start: int = attribute_field(Integer(), "first place that is kept", 0)
    stop: int | None = attribute_field(
        Integer(), "first place that is no longer kept; the end if not given", None
    )
    step: int = attribute_field(Integer(1), "distance from one kept place to the next", 1)
    at: int | None = attribute_field(Integer(), "the only place that is kept; its axis goes", None)

    def infer_type(self, x: TensorType) -> TensorType:
        size = concrete(x[self.over])
        if self.at is not None:
            if (self.start, self.stop, self.step) != (0, None, 1):
                raise ShapeError(
                    "SB102",
                    "`at` keeps one place; `start`, `stop` and `step` keep several",
                    "write one or the other",
                )
            if not -size <= self.at < size:
                raise ShapeError(
                    "SB403",
                    f"axis {self.over} of size {size} has no place {concrete(self.at)}",
                    "places are counted from 0",
                )
            return x.without_axes(self.over)
        return x.with_sizes({self.over: self.output_size(x[self.over])})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {} if self.at is not None else {self.over: AxisStride(self.over, concrete(self.step))}

    def output_size(self, size: int) -> int:
        """How many places are kept, in words where all has some."""
        kept = len(range(*slice(self.start, self.stop, self.step).indices(size)))
        if self.step == 1 and self.start >= 0 and (self.stop is None or 0 <= self.stop <= size):
            stop = size if self.stop is None else self.stop
            told: int = (
                stop if self.start == 0 else symbolic_formula("stop - start", start=self.start, stop=stop)
            )
            return told if told == kept else kept
        return kept


@register_op("arrangement")
class Split(Op):
    """One value cut along an axis into several, each read by its name: `qkv.query`."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis that is cut", CHANNEL)
    into: Mapping[str, int] | tuple[str, ...] = attribute_field(
        PartSizes(),
        "names of the parts, if they are equal; or each with its size, one of which may be -1, to be worked out",
    )

    def infer_type(self, x: TensorType) -> TensorType:
        return next(iter(self.part_types(x).values()))

    def part_types(self, x: TensorType) -> dict[str, TensorType]:
        return {name: x.with_sizes({self.over: size}) for name, size in self.part_sizes(x).items()}

    def part_sizes(self, x: TensorType) -> dict[str, int]:
        """The size of each part."""
        whole = x[self.over]
        if not isinstance(self.into, Mapping):
            count = len(self.into)
            if concrete(whole) % count:
                raise ShapeError(
                    "SB401",
                    f"axis {self.over} of size {concrete(whole)} does not split into {count} equal parts",
                )
            return dict.fromkeys(self.into, symbolic_formula("whole // count", whole=whole, count=count))
        known = [n for n in self.into.values() if n != -1]
        if len(known) < len(self.into) - 1:
            raise ShapeError("SB403", "only one size can be -1")
        rest = concrete(whole) - sum(map(concrete, known))
        if rest < 0 or (rest > 0) != (len(known) < len(self.into)):
            told = " + ".join("?" if n == -1 else str(concrete(n)) for n in self.into.values())
            raise ShapeError(
                "SB401", f"axis {self.over} of size {concrete(whole)} does not split into {told}"
            )
        if len(known) < len(self.into):
            named = {f"part{i}": n for i, n in enumerate(known)}
            rest = symbolic_formula(" - ".join(["whole", *named]), whole=whole, **named)
        return {name: rest if n == -1 else n for name, n in self.into.items()}


@register_op("arrangement")
class Stack(Op):
    """Values with equal axes, side by side along a new axis."""

    input_specs = (InputSpec("of", "the values", variadic=True),)
    can_inline = True
    axis: str = attribute_field(AxisName(), "the new axis")

    def infer_type(self, *xs: TensorType) -> TensorType:
        for x in xs[1:]:
            if not x.has_same_sizes(xs[0]) or x.dtype != xs[0].dtype:
                raise ShapeError("SB401", f"stack needs values that are alike, here are {xs[0]} and {x}")
        if self.axis in xs[0]:
            raise ShapeError(
                "SB401",
                f"there is an axis {self.axis} already in {xs[0]}",
                "`concat` joins along an axis that there is",
            )
        return TensorType({self.axis: len(xs), **xs[0].sizes}, xs[0].dtype, any(x.batched for x in xs))


@register_op("arrangement")
class Expand(Op):
    """New axes along which the value is the same everywhere."""

    can_inline = True
    axes: Mapping[str, int] = attribute_field(AxisMapping(Integer(1)), "the new axes with their sizes")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.axes:
            if axis in x:
                raise ShapeError("SB401", f"there is an axis {axis} already in {x}")
        return TensorType({**self.axes, **x.sizes}, x.dtype, x.batched)


@register_op("arrangement")
class Squeeze(Op):
    """Axes of size 1 taken away."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes that go")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            if x[axis] != 1:
                raise ShapeError(
                    "SB401",
                    f"axis {axis} has size {concrete(x[axis])}, not 1",
                    "`mean` or `slice` takes away a longer one",
                )
        return x.without_axes(*self.over)


@register_op("arrangement")
class Roll(Op):
    """Places moved along axes; what leaves at one end comes in at the other."""

    can_inline = True
    shift: Mapping[str, int] = attribute_field(AxisMapping(Integer()), "how far each axis moves")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.shift:
            x[axis]
        return x


@register_op("arrangement")
class Flip(Op):
    """Axes the other way round."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes that are turned")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return x


class Repetition(Op):
    """An axis that becomes several times as long."""

    can_inline = True
    over: str
    times: int

    def infer_type(self, x: TensorType) -> TensorType:
        return x.with_sizes(
            {self.over: symbolic_formula("size * times", size=x[self.over], times=self.times)}
        )


@register_op("arrangement")
class Tile(Repetition):
    """An axis again and again: a b becomes a b a b."""

    over: str = attribute_field(AxisName(), "axis that is repeated")
    times: int = attribute_field(Integer(1), "how often")


@register_op("arrangement")
class RepeatInterleave(Repetition):
    """Each place of an axis several times: a b becomes a a b b, as heads share their keys (arXiv 2305.13245)."""

    over: str = attribute_field(AxisName(), "axis whose places are repeated")
    times: int = attribute_field(Integer(1), "how often each")

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {self.over: AxisStride(self.over, 1, concrete(self.times))}

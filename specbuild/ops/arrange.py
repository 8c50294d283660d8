"""Ops that pick, join and repeat places: slices, parts, stacks, rolls, new axes."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.expressions import formula, plain
from specbuild.ops.attribute_kinds import Axes, Axis, Fixed, Integer, Parts
from specbuild.ops.base import Op, Places, Takes, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor


@op("arrangement")
class Slice(Op):
    """Some places of one axis: from `start` to before `stop`, every `step`-th; or the one place `at`, without the axis.

    Negative places count from the end, as in Python.
    """

    light = True
    over: str = attr(Axis(), "axis that is cut")
    start: int = attr(Integer(), "first place that is kept", 0)
    stop: int | None = attr(Integer(), "first place that is no longer kept; the end if not given", None)
    step: int = attr(Integer(1), "distance from one kept place to the next", 1)
    at: int | None = attr(Integer(), "the only place that is kept; its axis goes", None)

    def infer(self, x: Tensor) -> Tensor:
        size = plain(x[self.over])
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
                    f"axis {self.over} of size {size} has no place {plain(self.at)}",
                    "places are counted from 0",
                )
            return x.without(self.over)
        return x.resized({self.over: self.length(x[self.over])})

    def places(self, x: Tensor) -> dict[str, Places]:
        return {} if self.at is not None else {self.over: Places(self.over, plain(self.step))}

    def length(self, size: int) -> int:
        """How many places are kept, in words where all has some."""
        kept = len(range(*slice(self.start, self.stop, self.step).indices(size)))
        if self.step == 1 and self.start >= 0 and (self.stop is None or 0 <= self.stop <= size):
            stop = size if self.stop is None else self.stop
            told: int = stop if self.start == 0 else formula("stop - start", start=self.start, stop=stop)
            return told if told == kept else kept
        return kept


@op("arrangement")
class Split(Op):
    """One value cut along an axis into several, each read by its name: `qkv.query`."""

    light = True
    over: str = attr(Axis(), "axis that is cut", CHANNEL)
    into: Mapping[str, int] | tuple[str, ...] = attr(
        Parts(),
        "names of the parts, if they are equal; or each with its size, one of which may be -1, to be worked out",
    )

    def infer(self, x: Tensor) -> Tensor:
        return next(iter(self.parts(x).values()))

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        return {name: x.resized({self.over: size}) for name, size in self.sizes(x).items()}

    def sizes(self, x: Tensor) -> dict[str, int]:
        """The size of each part."""
        whole = x[self.over]
        if not isinstance(self.into, Mapping):
            count = len(self.into)
            if plain(whole) % count:
                raise ShapeError(
                    "SB401",
                    f"axis {self.over} of size {plain(whole)} does not split into {count} equal parts",
                )
            return dict.fromkeys(self.into, formula("whole // count", whole=whole, count=count))
        known = [n for n in self.into.values() if n != -1]
        if len(known) < len(self.into) - 1:
            raise ShapeError("SB403", "only one size can be -1")
        rest = plain(whole) - sum(map(plain, known))
        if rest < 0 or (rest > 0) != (len(known) < len(self.into)):
            told = " + ".join("?" if n == -1 else str(plain(n)) for n in self.into.values())
            raise ShapeError("SB401", f"axis {self.over} of size {plain(whole)} does not split into {told}")
        if len(known) < len(self.into):
            named = {f"part{i}": n for i, n in enumerate(known)}
            rest = formula(" - ".join(["whole", *named]), whole=whole, **named)
        return {name: rest if n == -1 else n for name, n in self.into.items()}


@op("arrangement")
class Stack(Op):
    """Values with equal axes, side by side along a new axis."""

    takes = (Takes("of", "the values", many=True),)
    light = True
    axis: str = attr(Axis(), "the new axis")

    def infer(self, *xs: Tensor) -> Tensor:
        for x in xs[1:]:
            if not x.same_sizes(xs[0]) or x.dtype != xs[0].dtype:
                raise ShapeError("SB401", f"stack needs values that are alike, here are {xs[0]} and {x}")
        if self.axis in xs[0]:
            raise ShapeError(
                "SB401",
                f"there is an axis {self.axis} already in {xs[0]}",
                "`concat` joins along an axis that there is",
            )
        return Tensor({self.axis: len(xs), **xs[0].sizes}, xs[0].dtype, any(x.batched for x in xs))


@op("arrangement")
class Expand(Op):
    """New axes along which the value is the same everywhere."""

    light = True
    axes: Mapping[str, int] = attr(Fixed(Integer(1)), "the new axes with their sizes")

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.axes:
            if axis in x:
                raise ShapeError("SB401", f"there is an axis {axis} already in {x}")
        return Tensor({**self.axes, **x.sizes}, x.dtype, x.batched)


@op("arrangement")
class Squeeze(Op):
    """Axes of size 1 taken away."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes that go")

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            if x[axis] != 1:
                raise ShapeError(
                    "SB401",
                    f"axis {axis} has size {plain(x[axis])}, not 1",
                    "`mean` or `slice` takes away a longer one",
                )
        return x.without(*self.over)


@op("arrangement")
class Roll(Op):
    """Places moved along axes; what leaves at one end comes in at the other."""

    light = True
    shift: Mapping[str, int] = attr(Fixed(Integer()), "how far each axis moves")

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.shift:
            x[axis]
        return x


@op("arrangement")
class Flip(Op):
    """Axes the other way round."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes that are turned")

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return x


class Repetition(Op):
    """An axis that becomes several times as long."""

    light = True
    over: str
    times: int

    def infer(self, x: Tensor) -> Tensor:
        return x.resized({self.over: formula("size * times", size=x[self.over], times=self.times)})


@op("arrangement")
class Tile(Repetition):
    """An axis again and again: a b becomes a b a b."""

    over: str = attr(Axis(), "axis that is repeated")
    times: int = attr(Integer(1), "how often")


@op("arrangement")
class RepeatInterleave(Repetition):
    """Each place of an axis several times: a b becomes a a b b, as heads share their keys (arXiv 2305.13245)."""

    over: str = attr(Axis(), "axis whose places are repeated")
    times: int = attr(Integer(1), "how often each")

    def places(self, x: Tensor) -> dict[str, Places]:
        return {self.over: Places(self.over, 1, plain(self.times))}

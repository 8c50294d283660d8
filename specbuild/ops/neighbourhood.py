"""Places and their neighbours: padding, windows laid out along an axis of their own, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from specbuild.expressions import formula, plain, words
from specbuild.ops.attribute_kinds import Axes, Axis, Choice, Integer, Padding, PerAxis, Real
from specbuild.ops.base import Op, Places, Takes, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor
from specbuild.ops.window import Pair, Window, beside, fill, slid, spread, window


@op("neighbourhood")
class Pad(Op):
    """Values added at both ends of axes."""

    light = True

    padding: object = attr(Padding(()), "what is added; by axis, as in {H: [0, 1], W: 2}, for any axes")
    mode: str = attr(
        Choice(("constant", "reflect", "replicate", "circular")),
        "what is added: one value, the places beside the end but not the end itself, the end again, the other end",
        "constant",
    )
    value: float = attr(Real(), "the value that is added in the mode constant", 0)

    def sides(self, x: Tensor) -> dict[str, Pair]:
        """(before, after) for each axis that is padded."""
        axes = tuple(self.padding) if isinstance(self.padding, Mapping) else slid(x, None)
        pairs = (p if isinstance(p, tuple) else (p, p) for p in spread(self.padding, axes, "padding"))
        return dict(zip(axes, pairs, strict=True))

    def infer(self, x: Tensor) -> Tensor:
        sides = self.sides(x)
        for axis in sides:
            x[axis]
        if self.mode != "constant" and len(sides) > 3:
            raise ShapeError(
                "SB404", f"the mode {self.mode} pads at most three axes", "pad the others in a step before"
            )
        fill(self.mode, x, tuple(sides), tuple(sides.values()))
        return x.resized({axis: longer(x[axis], before, after) for axis, (before, after) in sides.items()})


def longer(size: int, before: int, after: int) -> int:
    """A size with what is added to it, in words if it has some."""
    if words(size) is None:
        return plain(size) + plain(before) + plain(after)
    return formula("n + a + b", n=size, a=before, b=after)  # type: ignore[no-any-return]


def points(kernel: tuple[int, ...]) -> int:
    """How many points a window has."""
    return reduce(lambda a, b: formula("a * b", a=a, b=b), kernel)


@op("neighbourhood")
class Unfold(Op):
    """Each place's neighbours under a sliding window, laid along a new axis, row-major (im2col)."""

    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis")
    into: str = attr(Axis(), "the new axis: the points of the window")
    stride: int = attr(PerAxis(Integer(1)), "step of the window along each axis", 1)
    padding: object = attr(Padding(("same", "valid", "causal")), "zeros that are added around the input", 0)
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the window slides over; all of D, H, W that there are", None
    )

    def window(self, x: Tensor) -> Window:
        return window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, x: Tensor) -> Tensor:
        if self.into in x:
            raise ShapeError("SB401", f"there is an axis {self.into} already in {x}")
        window = self.window(x)
        beside(x, window.axes)
        out = x.resized(window.sizes(x))
        at = out.axes.index(CHANNEL) + 1 if CHANNEL in out else 0
        sizes = list(out.sizes.items())
        return Tensor(
            dict([*sizes[:at], (self.into, points(window.kernel)), *sizes[at:]]), x.dtype, x.batched
        )

    def places(self, x: Tensor) -> dict[str, Places]:
        return self.window(x).places()


@op("neighbourhood")
class Fold(Op):
    """The points of windows added up where they lie: what `unfold` reads from, back again (col2im).

    Without `size` or `like`, a size n becomes (n - 1) * stride + dilation * (kernel - 1) + 1 less the padding.
    """

    takes = (
        Takes("x", "the windows"),
        Takes("like", "a value whose size the result gets", optional=True),
    )

    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis")
    axis: str = attr(Axis(), "the axis of the points of the window")
    stride: int = attr(PerAxis(Integer(1)), "distance between the windows along each axis", 1)
    padding: object = attr(Padding(("same", "valid")), "what is cut off the result, alike on both sides", 0)
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    size: int | None = attr(PerAxis(Integer(1)), "size that comes out along each axis", None)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the windows lie along; all of D, H, W that there are", None
    )

    def window(self, x: Tensor) -> Window:
        over = self.over if self.over is not None else slid(x.without(self.axis), None)
        return window(x, over, self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        window = self.window(x)
        beside(x, (*window.axes, self.axis))
        if len(window.axes) > 2:
            raise ShapeError("SB404", "windows are folded over one or two axes", "name them with `over`")
        if any(before != after for before, after in window.pads or ()):
            raise ShapeError("SB404", "what fold cuts off is alike on both sides", "slice the result")
        if x[self.axis] != points(window.kernel):
            held = f"axis {self.axis} of size {plain(x[self.axis])}"
            raise ShapeError(
                "SB401", f"{held} does not hold windows of {plain(points(window.kernel))} points"
            )
        if like is not None and self.size is not None:
            raise ShapeError("SB404", "fold takes size or like, not both")
        sizes = self.smallest(window, x)
        if like is not None:
            sizes = {axis: like[axis] for axis in window.axes}
        elif self.size is not None:
            sizes = dict(zip(window.axes, spread(self.size, window.axes, "size"), strict=True))
        out = x.without(self.axis).resized(sizes)
        for axis, size in window.sizes(out).items():
            if plain(size) != plain(x[axis]):
                message = f"axis {axis} of size {plain(out[axis])} has {plain(size)} windows, but here are {plain(x[axis])}"
                raise ShapeError("SB401", message)
        return out

    def places(self, x: Tensor, like: Tensor | None = None) -> dict[str, Places]:
        return self.window(x).spread_places()

    def smallest(self, window: Window, x: Tensor) -> dict[str, int]:
        """The least size that has so many windows."""
        assert window.pads is not None
        found = {}
        for i, axis in enumerate(window.axes):
            whole = (plain(x[axis]) - 1) * plain(window.stride[i]) + window.reach(i)
            found[axis] = whole - sum(map(plain, window.pads[i]))
        return found

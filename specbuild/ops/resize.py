"""Places made more or fewer: resized by interpolation, or traded against channels."""

from __future__ import annotations

from math import floor

from specbuild.expressions import formula, plain, words
from specbuild.ops.attribute_kinds import Axes, Choice, Flag, Integer, PerAxis, Real
from specbuild.ops.base import Op, Places, Takes, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor, listed
from specbuild.ops.window import beside, slid, spread


@op("resize")
class Resize(Op):
    """Resize places to a size, by a scale, or to the size of another value, by interpolation.

    Place i of n reads the input of m places at (i + 1/2) * m / n - 1/2, with `align_corners` at i * (m - 1) / (n - 1);
    `nearest` takes the place floor(i * m / n), `nearest_exact` floor((i + 1/2) * m / n). By a scale s, n is floor(s * m).
    `bicubic` has Keys' kernel with a = -3/4 (doi 10.1109/TASSP.1981.1163711).
    """

    takes = (
        Takes("x", "what is resized"),
        Takes("like", "a value whose size the result gets", optional=True),
    )
    light = True

    size: int | None = attr(PerAxis(Integer(1)), "size that comes out along each axis", None)
    scale: float | None = attr(PerAxis(Real(0)), "factor by which each axis becomes longer", None)
    mode: str = attr(
        Choice(("nearest", "nearest_exact", "bilinear", "bicubic")),
        "how values between places are found",
        "nearest",
    )
    align_corners: bool = attr(
        Flag(), "whether the outermost places lie on each other, not their edges", False
    )
    over: tuple[str, ...] | None = attr(Axes(), "axes that are resized; all of D, H, W that there are", None)

    def axes(self, x: Tensor) -> tuple[str, ...]:
        return slid(x, self.over)

    def scales(self, x: Tensor) -> tuple[float, ...]:
        """The factor for each axis; a whole number is an int."""
        factors = spread(self.scale, self.axes(x), "scale")
        return tuple(int(s) if words(s) is None and s == int(s) else s for s in factors)

    def sizes(self, x: Tensor, like: Tensor | None = None) -> tuple[int, ...]:
        """The size for each axis."""
        if like is not None:
            return tuple(like[axis] for axis in self.axes(x))
        if self.size is not None:
            return spread(self.size, self.axes(x), "size")
        return tuple(scaled(x[axis], s) for axis, s in zip(self.axes(x), self.scales(x), strict=True))

    def infer(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        given = [name for name in ("size", "scale") if getattr(self, name) is not None] + ["like"] * (
            like is not None
        )
        if len(given) != 1:
            hint = "write `resize: {scale: 2}`, `{size: {H: 7, W: 7}}` or `{like: step}`"
            raise ShapeError(
                "SB404", f"resize takes one of size, scale and like, here are {listed(given)}", hint
            )
        beside(x, self.axes(x))
        if self.align_corners and self.mode.startswith("nearest"):
            raise ShapeError(
                "SB404",
                f"align_corners says nothing in the mode {self.mode}",
                "use it with bilinear or bicubic",
            )
        if self.mode == "bicubic" and len(self.axes(x)) != 2:
            raise ShapeError("SB404", "bicubic is over two axes", "use bilinear, which is over one to three")
        return x.resized(dict(zip(self.axes(x), self.sizes(x, like), strict=True)))

    def places(self, x: Tensor, like: Tensor | None = None) -> dict[str, Places]:
        sizes = zip(self.axes(x), self.sizes(x, like), strict=True)
        return {axis: Places(axis, plain(x[axis]), plain(size)) for axis, size in sizes}


def scaled(size: int, scale: float) -> int:
    """A size times a scale; told in words if both have some to tell."""
    if isinstance(plain(scale), int):
        return formula("n * s", n=size, s=scale) if words(size) else plain(size) * int(scale)
    return floor(plain(size) * plain(scale))


class Shuffle(Op):
    """Places traded against channels."""

    light = True
    factor: int

    def axes(self, x: Tensor) -> tuple[str, ...]:
        axes = slid(x, None)
        if len(axes) != 2 or CHANNEL not in x:
            raise ShapeError("SB404", f"{self.name} takes a map with C and two other axes, not {x}")
        return axes


@op("resize")
class PixelShuffle(Shuffle):
    """Channels become places: {C * r * r, H, W} becomes {C, H * r, W * r}, each r x r channels a square (arXiv 1609.05158)."""

    factor: int = attr(Integer(1), "how many times longer each axis becomes")

    def infer(self, x: Tensor) -> Tensor:
        squares = plain(self.factor) ** 2
        if x[CHANNEL] % squares:
            raise ShapeError(
                "SB401", f"{plain(x[CHANNEL])} channels are no multiple of {squares}, the places of a square"
            )
        channels = formula("c // f ** 2", c=x[CHANNEL], f=self.factor)
        sizes = {axis: scaled(x[axis], self.factor) for axis in self.axes(x)}
        return x.resized({CHANNEL: channels, **sizes})

    def places(self, x: Tensor) -> dict[str, Places]:
        return {axis: Places(axis, 1, plain(self.factor)) for axis in self.axes(x)}


@op("resize")
class PixelUnshuffle(Shuffle):
    """Places become channels, the inverse of `pixel_shuffle`: {C, H * r, W * r} becomes {C * r * r, H, W} (arXiv 1609.05158)."""

    factor: int = attr(Integer(1), "how many times shorter each axis becomes")

    def infer(self, x: Tensor) -> Tensor:
        sizes = {}
        for axis in self.axes(x):
            if x[axis] % self.factor:
                raise ShapeError(
                    "SB401", f"axis {axis} of size {plain(x[axis])} is no multiple of {plain(self.factor)}"
                )
            sizes[axis] = (
                formula("n // f", n=x[axis], f=self.factor)
                if words(x[axis])
                else plain(x[axis]) // plain(self.factor)
            )
        return x.resized({CHANNEL: formula("c * f ** 2", c=x[CHANNEL], f=self.factor), **sizes})

    def places(self, x: Tensor) -> dict[str, Places]:
        return {axis: Places(axis, plain(self.factor)) for axis in self.axes(x)}

"""Places made more or fewer: resized by interpolation, or traded against channels."""

from __future__ import annotations

from math import floor

from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.attribute_kinds import AxisNames, Boolean, Choice, Integer, PerAxis, Real
from specbuild.ops.base import AxisStride, InputSpec, Op, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, join_names
from specbuild.ops.window import require_other_axis, values_per_axis, window_axes


@register_op("resize")
class Resize(Op):
    """Resize places to a size, by a scale, or to the size of another value, by interpolation.

    Place i of n reads the input of m places at (i + 1/2) * m / n - 1/2, with `align_corners` at i * (m - 1) / (n - 1);
    `nearest` takes the place floor(i * m / n), `nearest_exact` floor((i + 1/2) * m / n). By a scale s, n is floor(s * m).
    `bicubic` has Keys' kernel with a = -3/4 (doi 10.1109/TASSP.1981.1163711).
    """

    input_specs = (
        InputSpec("x", "what is resized"),
        InputSpec("like", "a value whose size the result gets", optional=True),
    )
    can_inline = True

    size: int | None = attribute_field(PerAxis(Integer(1)), "size that comes out along each axis", None)
    scale: float | None = attribute_field(PerAxis(Real(0)), "factor by which each axis becomes longer", None)
    mode: str = attribute_field(
        Choice(("nearest", "nearest_exact", "bilinear", "bicubic")),
        "how values between places are found",
        "nearest",
    )
    align_corners: bool = attribute_field(
        Boolean(), "whether the outermost places lie on each other, not their edges", False
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that are resized; all of D, H, W that there are", None
    )

    def resized_axes(self, x: TensorType) -> tuple[str, ...]:
        return window_axes(x, self.over)

    def axis_scales(self, x: TensorType) -> tuple[float, ...]:
        """The factor for each axis; a whole number is an int."""
        factors = values_per_axis(self.scale, self.resized_axes(x), "scale")
        return tuple(int(s) if expression_of(s) is None and s == int(s) else s for s in factors)

    def output_sizes(self, x: TensorType, like: TensorType | None = None) -> tuple[int, ...]:
        """The size for each axis."""
        if like is not None:
            return tuple(like[axis] for axis in self.resized_axes(x))
        if self.size is not None:
            return values_per_axis(self.size, self.resized_axes(x), "size")
        return tuple(
            scale_size(x[axis], s) for axis, s in zip(self.resized_axes(x), self.axis_scales(x), strict=True)
        )

    def infer_type(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        given = [name for name in ("size", "scale") if getattr(self, name) is not None] + ["like"] * (
            like is not None
        )
        if len(given) != 1:
            hint = "write `resize: {scale: 2}`, `{size: {H: 7, W: 7}}` or `{like: step}`"
            raise ShapeError(
                "SB404", f"resize takes one of size, scale and like, here are {join_names(given)}", hint
            )
        require_other_axis(x, self.resized_axes(x))
        if self.align_corners and self.mode.startswith("nearest"):
            raise ShapeError(
                "SB404",
                f"align_corners says nothing in the mode {self.mode}",
                "use it with bilinear or bicubic",
            )
        if self.mode == "bicubic" and len(self.resized_axes(x)) != 2:
            raise ShapeError("SB404", "bicubic is over two axes", "use bilinear, which is over one to three")
        return x.with_sizes(dict(zip(self.resized_axes(x), self.output_sizes(x, like), strict=True)))

    def axis_strides(self, x: TensorType, like: TensorType | None = None) -> dict[str, AxisStride]:
        sizes = zip(self.resized_axes(x), self.output_sizes(x, like), strict=True)
        return {axis: AxisStride(axis, concrete(x[axis]), concrete(size)) for axis, size in sizes}


def scale_size(size: int, scale: float) -> int:
    """A size times a scale; told in words if both have some to tell."""
    if isinstance(concrete(scale), int):
        return (
            symbolic_formula("n * s", n=size, s=scale) if expression_of(size) else concrete(size) * int(scale)
        )
    return floor(concrete(size) * concrete(scale))


class PixelRearrangement(Op):
    """Places traded against channels."""

    can_inline = True
    factor: int

    def shuffled_axes(self, x: TensorType) -> tuple[str, ...]:
        axes = window_axes(x, None)
        if len(axes) != 2 or CHANNEL not in x:
            raise ShapeError("SB404", f"{self.name} takes a map with C and two other axes, not {x}")
        return axes


@register_op("resize")
class PixelShuffle(PixelRearrangement):
    """Channels become places: {C * r * r, H, W} becomes {C, H * r, W * r}, each r x r channels a square (arXiv 1609.05158)."""

    factor: int = attribute_field(Integer(1), "how many times longer each axis becomes")

    def infer_type(self, x: TensorType) -> TensorType:
        squares = concrete(self.factor) ** 2
        if x[CHANNEL] % squares:
            raise ShapeError(
                "SB401",
                f"{concrete(x[CHANNEL])} channels are no multiple of {squares}, the places of a square",
            )
        channels = symbolic_formula("c // f ** 2", c=x[CHANNEL], f=self.factor)
        sizes = {axis: scale_size(x[axis], self.factor) for axis in self.shuffled_axes(x)}
        return x.with_sizes({CHANNEL: channels, **sizes})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {axis: AxisStride(axis, 1, concrete(self.factor)) for axis in self.shuffled_axes(x)}


@register_op("resize")
class PixelUnshuffle(PixelRearrangement):
    """Places become channels, the inverse of `pixel_shuffle`: {C, H * r, W * r} becomes {C * r * r, H, W} (arXiv 1609.05158)."""

    factor: int = attribute_field(Integer(1), "how many times shorter each axis becomes")

    def infer_type(self, x: TensorType) -> TensorType:
        sizes = {}
        for axis in self.shuffled_axes(x):
            if x[axis] % self.factor:
                raise ShapeError(
                    "SB401",
                    f"axis {axis} of size {concrete(x[axis])} is no multiple of {concrete(self.factor)}",
                )
            sizes[axis] = (
                symbolic_formula("n // f", n=x[axis], f=self.factor)
                if expression_of(x[axis])
                else concrete(x[axis]) // concrete(self.factor)
            )
        return x.with_sizes({CHANNEL: symbolic_formula("c * f ** 2", c=x[CHANNEL], f=self.factor), **sizes})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {axis: AxisStride(axis, concrete(self.factor)) for axis in self.shuffled_axes(x)}

"""Resizing by interpolation, and pixel shuffle between channels and positions."""

from __future__ import annotations

from math import floor

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.attribute_kinds import AxisNames, Boolean, Choice, Integer, PerAxis, Real
from specbuild.ops.base import AxisStride, InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, SPATIAL, ShapeError, TensorType
from specbuild.ops.window import require_other_axis, values_per_axis, window_axes


@register_op("resize")
class Resize(Op):
    """Interpolate to a given size, by a scale, or to the size of another value.

    Output position i of n reads input position (i + 1/2) * m / n - 1/2 of m; with `align_corners`, it is
    i * (m - 1) / (n - 1). `nearest` reads floor(i * m / n), `nearest_exact` floor((i + 1/2) * m / n).
    With a scale s, n is floor(s * m). `bicubic` uses Keys' kernel with a = -3/4
    (doi 10.1109/TASSP.1981.1163711).
    """

    input_specs = (
        InputSpec("x", "the value to resize"),
        InputSpec("like", "a value that has the output size", optional=True, gives_size=True),
    )
    can_inline = True

    size: int | None = attribute_field(PerAxis(Integer(1)), "output size along each axis", None)
    scale: float | None = attribute_field(PerAxis(Real(0)), "scale factor of each axis", None)
    mode: str = attribute_field(
        Choice(("nearest", "nearest_exact", "bilinear", "bicubic")),
        "interpolation method",
        "nearest",
    )
    align_corners: bool = attribute_field(
        Boolean(), "whether to align the centres of the corner pixels instead of their outer edges", False
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes to resize; by default those of D, H, W", None
    )

    def resized_axes(self, x: TensorType) -> tuple[str, ...]:
        return window_axes(x, self.over)

    def axis_scales(self, x: TensorType) -> tuple[float, ...]:
        """Return the scale factor of each axis; an integral factor is an int."""
        factors = values_per_axis(self.scale, self.resized_axes(x), "scale")
        return tuple(int(s) if expression_of(s) is None and s == int(s) else s for s in factors)

    def output_sizes(self, x: TensorType, like: TensorType | None = None) -> tuple[int, ...]:
        """Return the output size of each axis in `resized_axes`."""
        if like is not None:
            return tuple(like[axis] for axis in self.resized_axes(x))
        if self.size is not None:
            return values_per_axis(self.size, self.resized_axes(x), "size")
        return tuple(
            scale_size(x[axis], s) for axis, s in zip(self.resized_axes(x), self.axis_scales(x), strict=True)
        )

    @property
    def accepts_too_little(self) -> bool:
        return self.scale is not None

    def infer_type(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        options = {"size": self.size, "scale": self.scale, "like": like}
        used = [name for name, value in options.items() if value is not None]
        if len(used) != 1:
            hint = "for example `resize: {scale: 2}`, `{size: {H: 7, W: 7}}` or `{like: step}`"
            raise ShapeError(
                "SB404", f"resize needs one of size, scale and like; got {join_names(used)}", hint
            )
        require_floats(self.name, x)
        require_other_axis(x, self.resized_axes(x))
        if self.align_corners and self.mode.startswith("nearest"):
            raise ShapeError(
                "SB404",
                f"align_corners has no meaning in the mode {self.mode}",
                "use it with bilinear or bicubic",
            )
        if self.mode == "bicubic" and len(self.resized_axes(x)) != 2:
            raise ShapeError(
                "SB404", "bicubic works over two axes", "use bilinear, which works over one to three"
            )
        return x.with_sizes(dict(zip(self.resized_axes(x), self.output_sizes(x, like), strict=True)))

    def gives_size(self, axis: str) -> bool:
        return self.size is not None and axis in (self.over or SPATIAL)

    def axis_strides(self, x: TensorType, like: TensorType | None = None) -> dict[str, AxisStride]:
        sizes = zip(self.resized_axes(x), self.output_sizes(x, like), strict=True)
        return {axis: AxisStride(axis, concrete(x[axis]), concrete(size)) for axis, size in sizes}


def scale_size(size: int, scale: float) -> int:
    """Return a size times a scale, rounded down; symbolic if the size is and the scale is an integer."""
    if isinstance(concrete(scale), int):
        return (
            symbolic_formula("n * s", n=size, s=scale) if expression_of(size) else concrete(size) * int(scale)
        )
    return floor(concrete(size) * concrete(scale))


class PixelRearrangement(Op):
    """An exchange of positions for channels."""

    can_inline = True
    factor: int

    def shuffled_axes(self, x: TensorType) -> tuple[str, ...]:
        axes = window_axes(x, None)
        if len(axes) != 2 or CHANNEL not in x:
            raise ShapeError("SB404", f"{self.name} needs the axis C and two other axes; got {x}")
        return axes


@register_op("resize")
class PixelShuffle(PixelRearrangement):
    """Move channels into pixels: {C * r * r, H, W} becomes {C, H * r, W * r} (arXiv 1609.05158)."""

    factor: int = attribute_field(Integer(1), "factor r by which both axes grow")

    def infer_type(self, x: TensorType) -> TensorType:
        squares = concrete(self.factor) ** 2
        if x[CHANNEL] % squares:
            raise ShapeError(
                "SB401",
                f"{concrete(x[CHANNEL])} channels cannot be divided by {squares}, the square of the factor",
            )
        channels = symbolic_formula("c // f ** 2", c=x[CHANNEL], f=self.factor)
        sizes = {axis: scale_size(x[axis], self.factor) for axis in self.shuffled_axes(x)}
        return x.with_sizes({CHANNEL: channels, **sizes})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {axis: AxisStride(axis, 1, concrete(self.factor)) for axis in self.shuffled_axes(x)}


@register_op("resize")
class PixelUnshuffle(PixelRearrangement):
    """Move pixels into channels, the inverse of `pixel_shuffle` (arXiv 1609.05158)."""

    factor: int = attribute_field(Integer(1), "factor r by which both axes shrink")

    def infer_type(self, x: TensorType) -> TensorType:
        sizes = {}
        for axis in self.shuffled_axes(x):
            if x[axis] % self.factor:
                raise ShapeError(
                    "SB401",
                    f"axis {axis} of size {concrete(x[axis])} cannot be divided by {concrete(self.factor)}",
                )
            sizes[axis] = (
                symbolic_formula("n // f", n=x[axis], f=self.factor)
                if expression_of(x[axis])
                else concrete(x[axis]) // concrete(self.factor)
            )
        return x.with_sizes({CHANNEL: symbolic_formula("c * f ** 2", c=x[CHANNEL], f=self.factor), **sizes})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {axis: AxisStride(axis, concrete(self.factor)) for axis in self.shuffled_axes(x)}

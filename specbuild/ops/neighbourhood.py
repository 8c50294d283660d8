"""Places and their neighbours: padding, windows laid out along an axis of their own, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Choice, Integer, Padding, PerAxis, Real
from specbuild.ops.base import AxisStride, InputSpec, Op, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType
from specbuild.ops.window import (
    PaddingPair,
    SlidingWindow,
    build_window,
    check_padding_mode,
    require_other_axis,
    values_per_axis,
    window_axes,
)


@register_op("neighbourhood")
class Pad(Op):
    """Values added at both ends of axes."""

    can_inline = True

    padding: object = attribute_field(
        Padding(()), "what is added; by axis, as in {H: [0, 1], W: 2}, for any axes"
    )
    mode: str = attribute_field(
        Choice(("constant", "reflect", "replicate", "circular")),
        "what is added: one value, the places beside the end but not the end itself, the end again, the other end",
        "constant",
    )
    value: float = attribute_field(Real(), "the value that is added in the mode constant", 0)

    def axis_padding(self, x: TensorType) -> dict[str, PaddingPair]:
        """(before, after) for each axis that is padded."""
        axes = tuple(self.padding) if isinstance(self.padding, Mapping) else window_axes(x, None)
        pairs = (
            p if isinstance(p, tuple) else (p, p) for p in values_per_axis(self.padding, axes, "padding")
        )
        return dict(zip(axes, pairs, strict=True))

    def infer_type(self, x: TensorType) -> TensorType:
        sides = self.axis_padding(x)
        for axis in sides:
            x[axis]
        if self.mode != "constant" and len(sides) > 3:
            raise ShapeError(
                "SB404", f"the mode {self.mode} pads at most three axes", "pad the others in a step before"
            )
        check_padding_mode(self.mode, x, tuple(sides), tuple(sides.values()))
        return x.with_sizes(
            {axis: padded_size(x[axis], before, after) for axis, (before, after) in sides.items()}
        )


def padded_size(size: int, before: int, after: int) -> int:
    """A size with what is added to it, in words if it has some."""
    if expression_of(size) is None:
        return concrete(size) + concrete(before) + concrete(after)
    return symbolic_formula("n + a + b", n=size, a=before, b=after)  # type: ignore[no-any-return]


def count_points(kernel: tuple[int, ...]) -> int:
    """How many points a window has."""
    return reduce(lambda a, b: symbolic_formula("a * b", a=a, b=b), kernel)


@register_op("neighbourhood")
class Unfold(Op):
    """Each place's neighbours under a sliding window, laid along a new axis, row-major (im2col)."""

    kernel: int = attribute_field(PerAxis(Integer(1)), "length of the window along each axis")
    into: str = attribute_field(AxisName(), "the new axis: the points of the window")
    stride: int = attribute_field(PerAxis(Integer(1)), "step of the window along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid", "causal")), "zeros that are added around the input", 0
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the points of the window", 1)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; all of D, H, W that there are", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        return build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.into in x:
            raise ShapeError("SB401", f"there is an axis {self.into} already in {x}")
        window = self.sliding_window(x)
        require_other_axis(x, window.axes)
        out = x.with_sizes(window.output_sizes(x))
        at = out.axes.index(CHANNEL) + 1 if CHANNEL in out else 0
        sizes = list(out.sizes.items())
        return TensorType(
            dict([*sizes[:at], (self.into, count_points(window.kernel)), *sizes[at:]]), x.dtype, x.batched
        )

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).axis_strides()


@register_op("neighbourhood")
class Fold(Op):
    """The points of windows added up where they lie: what `unfold` reads from, back again (col2im).

    Without `size` or `like`, a size n becomes (n - 1) * stride + dilation * (kernel - 1) + 1 less the padding.
    """

    input_specs = (
        InputSpec("x", "the windows"),
        InputSpec("like", "a value whose size the result gets", optional=True),
    )

    kernel: int = attribute_field(PerAxis(Integer(1)), "length of the window along each axis")
    axis: str = attribute_field(AxisName(), "the axis of the points of the window")
    stride: int = attribute_field(PerAxis(Integer(1)), "distance between the windows along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid")), "what is cut off the result, alike on both sides", 0
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the points of the window", 1)
    size: int | None = attribute_field(PerAxis(Integer(1)), "size that comes out along each axis", None)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the windows lie along; all of D, H, W that there are", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        over = self.over if self.over is not None else window_axes(x.without_axes(self.axis), None)
        return build_window(x, over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        window = self.sliding_window(x)
        require_other_axis(x, (*window.axes, self.axis))
        if len(window.axes) > 2:
            raise ShapeError("SB404", "windows are folded over one or two axes", "name them with `over`")
        if any(before != after for before, after in window.pads or ()):
            raise ShapeError("SB404", "what fold cuts off is alike on both sides", "slice the result")
        if x[self.axis] != count_points(window.kernel):
            held = f"axis {self.axis} of size {concrete(x[self.axis])}"
            raise ShapeError(
                "SB401", f"{held} does not hold windows of {concrete(count_points(window.kernel))} points"
            )
        if like is not None and self.size is not None:
            raise ShapeError("SB404", "fold takes size or like, not both")
        sizes = self.smallest_sizes(window, x)
        if like is not None:
            sizes = {axis: like[axis] for axis in window.axes}
        elif self.size is not None:
            sizes = dict(zip(window.axes, values_per_axis(self.size, window.axes, "size"), strict=True))
        out = x.without_axes(self.axis).with_sizes(sizes)
        for axis, size in window.output_sizes(out).items():
            if concrete(size) != concrete(x[axis]):
                message = f"axis {axis} of size {concrete(out[axis])} has {concrete(size)} windows, but here are {concrete(x[axis])}"
                raise ShapeError("SB401", message)
        return out

    def axis_strides(self, x: TensorType, like: TensorType | None = None) -> dict[str, AxisStride]:
        return self.sliding_window(x).transposed_strides()

    def smallest_sizes(self, window: SlidingWindow, x: TensorType) -> dict[str, int]:
        """The least size that has so many windows."""
        assert window.pads is not None
        found = {}
        for i, axis in enumerate(window.axes):
            whole = (concrete(x[axis]) - 1) * concrete(window.stride[i]) + window.effective_size(i)
            found[axis] = whole - sum(map(concrete, window.pads[i]))
        return found

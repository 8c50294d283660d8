"""Padding; unfolding sliding windows into an axis of their own, and folding them back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Choice, Integer, Padding, PerAxis, Real
from specbuild.ops.base import AxisStride, InputSpec, Op, attribute_field, register_op, require_whole
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
    """Add values at both ends of axes."""

    can_inline = True

    padding: object = attribute_field(
        Padding(()), "the padding; a mapping such as {H: [0, 1], W: 2} can name any axes", role="detail"
    )
    mode: str = attribute_field(
        Choice(("constant", "reflect", "replicate", "circular")),
        "how to fill: with `value`, mirrored without the edge, with the edge value, or with the other end",
        "constant",
    )
    value: float = attribute_field(
        Real(can_be_infinite=True), "the value of the padding in the mode constant", 0, role="detail"
    )

    def axis_padding(self, x: TensorType) -> dict[str, PaddingPair]:
        """(before, after) for each axis to pad."""
        axes = tuple(self.padding) if isinstance(self.padding, Mapping) else window_axes(x, None)
        pairs = (
            p if isinstance(p, tuple) else (p, p) for p in values_per_axis(self.padding, axes, "padding")
        )
        return dict(zip(axes, pairs, strict=True))

    def infer_type(self, x: TensorType) -> TensorType:
        sides = self.axis_padding(x)
        for axis in sides:
            x[axis]
        require_whole(self.name, x, value=self.value)
        if self.mode != "constant" and len(sides) > 3:
            raise ShapeError(
                "SB404", f"the mode {self.mode} supports at most three axes", "pad the others in another step"
            )
        check_padding_mode(self.mode, x, tuple(sides), tuple(sides.values()))
        return x.with_sizes(
            {axis: padded_size(x[axis], before, after) for axis, (before, after) in sides.items()}
        )


def padded_size(size: int, before: int, after: int) -> int:
    """Return a size plus its padding; symbolic if the size is."""
    if expression_of(size) is None:
        return concrete(size) + concrete(before) + concrete(after)
    return symbolic_formula("n + a + b", n=size, a=before, b=after)  # type: ignore[no-any-return]


def count_points(kernel: tuple[int, ...]) -> int:
    """Return the number of elements of a window."""
    return reduce(lambda a, b: symbolic_formula("a * b", a=a, b=b), kernel)


@register_op("neighbourhood")
class Unfold(Op):
    """The elements of each sliding window along a new axis, in row-major order (im2col)."""

    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", role="window")
    into: str = attribute_field(AxisName(), "the new axis, of the elements of the window")
    stride: int = attribute_field(PerAxis(Integer(1)), "stride along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid", "causal")), "zero padding of the input", 0, role="detail"
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the window", 1)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        return build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.into in x:
            raise ShapeError("SB401", f"{x} already has an axis {self.into}")
        window = self.sliding_window(x)
        require_other_axis(x, window.axes)
        out = x.with_sizes(window.output_sizes(x))
        position = out.axes.index(CHANNEL) + 1 if CHANNEL in out else 0
        sizes = list(out.sizes.items())
        sizes.insert(position, (self.into, count_points(window.kernel)))
        return TensorType(dict(sizes), x.dtype, x.batched)

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).axis_strides()


@register_op("neighbourhood")
class Fold(Op):
    """The sum of overlapping windows, the transpose of `unfold` (col2im).

    Without `size` and `like`, a size is (n - 1) * stride + dilation * (kernel - 1) + 1 minus the padding.
    """

    input_specs = (
        InputSpec("x", "the windows"),
        InputSpec("like", "a value that has the output size", optional=True, gives_size=True),
    )

    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", role="window")
    axis: str = attribute_field(AxisName(), "the axis of the elements of the window")
    stride: int = attribute_field(PerAxis(Integer(1)), "stride along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid")), "what is cut off on each side of the output", 0, role="detail"
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the window", 1)
    size: int | None = attribute_field(PerAxis(Integer(1)), "output size along each axis", None)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes of the windows; by default those of D, H, W", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        over = self.over if self.over is not None else window_axes(x.without_axes(self.axis), None)
        return build_window(x, over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        window = self.sliding_window(x)
        require_other_axis(x, (*window.axes, self.axis))
        if len(window.axes) > 2:
            raise ShapeError("SB404", "fold works over one or two axes", "name them with `over`")
        if any(before != after for before, after in window.pads or ()):
            raise ShapeError("SB404", "fold needs equal padding on both sides", "use `slice` on the result")
        if x[self.axis] != count_points(window.kernel):
            size, points = concrete(x[self.axis]), concrete(count_points(window.kernel))
            raise ShapeError("SB401", f"axis {self.axis} has size {size}, but a window has {points} elements")
        if like is not None and self.size is not None:
            raise ShapeError("SB404", "fold takes either size or like, not both")
        sizes = self.smallest_sizes(window, x)
        if like is not None:
            sizes = {axis: like[axis] for axis in window.axes}
        elif self.size is not None:
            sizes = dict(zip(window.axes, values_per_axis(self.size, window.axes, "size"), strict=True))
        out = x.without_axes(self.axis).with_sizes(sizes)
        for axis, size in window.output_sizes(out).items():
            if concrete(size) != concrete(x[axis]):
                windows = f"{concrete(size)} windows, but the input has {concrete(x[axis])}"
                raise ShapeError("SB401", f"axis {axis} of size {concrete(out[axis])} has {windows}")
        return out

    def axis_strides(self, x: TensorType, like: TensorType | None = None) -> dict[str, AxisStride]:
        return self.sliding_window(x).transposed_strides()

    def smallest_sizes(self, window: SlidingWindow, x: TensorType) -> dict[str, int]:
        """Return the smallest output sizes that have as many windows as `x`."""
        assert window.pads is not None
        sizes = {}
        for i, axis in enumerate(window.axes):
            whole = (concrete(x[axis]) - 1) * concrete(window.stride[i]) + window.effective_size(i)
            sizes[axis] = whole - sum(map(concrete, window.pads[i]))
        return sizes

"""Pooling over sliding windows, and adaptive pooling to a fixed output size."""

from __future__ import annotations

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisNames, Boolean, Integer, Padding, PerAxis
from specbuild.ops.base import AxisStride, Op, attribute_field, register_op, require_floats
from specbuild.ops.types import SPATIAL, ShapeError, TensorType
from specbuild.ops.window import SlidingWindow, build_window, require_other_axis, values_per_axis, window_axes


class WindowPool(Op):
    """Pooling over a sliding window."""

    kernel: int
    stride: int | None
    padding: object
    ceil_mode: bool
    over: tuple[str, ...] | None

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        stride = self.kernel if self.stride is None else self.stride
        return build_window(x, self.over, self.kernel, stride, self.padding, getattr(self, "dilation", 1))

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        window = self.sliding_window(x)
        require_other_axis(x, window.axes)
        window.check_padding()
        return x.with_sizes((window.with_ceil_mode() if self.ceil_mode else window).output_sizes(x))

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).axis_strides()


@register_op("pooling")
class MaxPool(WindowPool):
    """The maximum over a sliding window."""

    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", 2, role="window")
    stride: int | None = attribute_field(
        PerAxis(Integer(1)), "stride along each axis; by default the kernel size", None
    )
    padding: object = attribute_field(
        Padding(), "padding of the input; it is never the maximum", 0, role="detail"
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the window", 1)
    ceil_mode: bool = attribute_field(
        Boolean(), "whether a last window may extend beyond the end", False, role="detail"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )


@register_op("pooling")
class AvgPool(WindowPool):
    """The mean over a sliding window."""

    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", 2, role="window")
    stride: int | None = attribute_field(
        PerAxis(Integer(1)), "stride along each axis; by default the kernel size", None
    )
    padding: object = attribute_field(Padding(), "zero padding of the input", 0, role="detail")
    ceil_mode: bool = attribute_field(
        Boolean(), "whether a last window may extend beyond the end", False, role="detail"
    )
    count_include_pad: bool = attribute_field(
        Boolean(), "whether the padding counts in the mean", True, role="detail"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        if self.padding == "tf_same" and self.count_include_pad:
            raise ShapeError(
                "SB404", "tf_same padding cannot count in the mean", "add `count_include_pad: false`"
            )
        return super().infer_type(x)


class AdaptivePool(Op):
    """Pooling with `size` windows along each axis."""

    size: int
    over: tuple[str, ...] | None

    def pooled_axes(self, x: TensorType) -> tuple[str, ...]:
        return window_axes(x, self.over)

    def output_sizes(self, x: TensorType) -> tuple[int, ...]:
        return values_per_axis(self.size, self.pooled_axes(x), "size")

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        require_other_axis(x, self.pooled_axes(x))
        return x.with_sizes(dict(zip(self.pooled_axes(x), self.output_sizes(x), strict=True)))

    def gives_size(self, axis: str) -> bool:
        return axis in (self.over or SPATIAL)

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        sizes = zip(self.pooled_axes(x), self.output_sizes(x), strict=True)
        return {axis: AxisStride(axis, concrete(x[axis]), concrete(size)) for axis, size in sizes}


@register_op("pooling")
class AdaptiveAvgPool(AdaptivePool):
    """The mean over each of `size` windows that cover the axes evenly.

    Window i of n covers the positions from floor(i * m / n) to before ceil((i + 1) * m / n) of m.
    """

    size: int = attribute_field(PerAxis(Integer(1)), "output size along each axis", 1)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes to pool; by default those of D, H, W", None
    )


@register_op("pooling")
class AdaptiveMaxPool(AdaptivePool):
    """The maximum over each of `size` windows that cover the axes evenly.

    Window i of n covers the positions from floor(i * m / n) to before ceil((i + 1) * m / n) of m.
    """

    size: int = attribute_field(PerAxis(Integer(1)), "output size along each axis", 1)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes to pool; by default those of D, H, W", None
    )

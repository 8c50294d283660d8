"""Convolutions and linear maps whose kernels are values of the model: `conv: {weight: w}`, `linear: {weight: w}`."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Choice, Integer, Padding, PerAxis
from specbuild.ops.base import (
    AxisStride,
    InputSpec,
    Op,
    PositionSource,
    attribute_field,
    declare_attributes,
    register_op,
    require_floats,
)
from specbuild.ops.convolution import require_divisible
from specbuild.ops.types import CHANNEL, ShapeError, TensorType
from specbuild.ops.window import SlidingWindow, build_window, check_padding_mode, window_axes


@declare_attributes
class GivenKernelOp(Op):
    """An op with a kernel and maybe a bias that are values. Both may differ between samples."""

    family = "convolution"
    input_specs = (
        InputSpec("x", "the input"),
        InputSpec("weight", "the kernel: a weight, or any value"),
        InputSpec("bias", "a value with one number for each output", optional=True),
    )
    outputs: str = attribute_field(
        AxisName(), "axis of the kernel that counts the outputs", "O", role="detail"
    )
    inputs: str = attribute_field(AxisName(), "axis of the kernel that counts the inputs", "I", role="detail")

    def check_kernel(self, weight: TensorType, bias: TensorType | None, window: Collection[str]) -> None:
        """Raise ShapeError if the kernel has other axes, or if the bias does not fit it."""
        axes = (self.outputs, self.inputs, *window)
        require_floats(self.name, weight)
        if set(weight.axes) != set(axes) or len(set(axes)) < len(axes):
            raise ShapeError(
                "SB404",
                f"{self.name} needs a kernel with the axes {join_names(axes)}; got {weight}",
                "`rename` its axes, or name them with `outputs` and `inputs`",
            )
        if bias is None:
            return
        require_floats(self.name, bias)
        if [concrete(n) for n in bias.sizes.values()] != [concrete(weight[self.outputs])]:
            count = concrete(weight[self.outputs])
            raise ShapeError("SB401", f"{self.name} needs a bias with one axis of size {count}; got {bias}")

    @staticmethod
    def is_batched(x: TensorType, weight: TensorType, bias: TensorType | None) -> bool:
        return x.batched or weight.batched or (bias is not None and bias.batched)


@register_op("convolution")
class KernelConv(GivenKernelOp):
    """Convolution with a kernel that is a value of the model; `conv: {weight: w}` means the same.

    The kernel has the axes `outputs` and `inputs`, and one for each axis that the window slides over, of the same name:
    {O: 64, I: 3, H: 3, W: 3}, in any order. So a kernel can be computed before it is used: standardised weights (arXiv
    1903.10520), weight norm (arXiv 1602.07868), central differences. If the kernel has a batch, each sample has its
    own, as in dynamic convolutions (arXiv 1912.03458).
    """

    title = "conv"
    stride: int = attribute_field(PerAxis(Integer(1)), "stride along each axis", 1)
    padding: object = attribute_field(Padding(), "padding of the input", "same", role="detail")
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the kernel", 1)
    groups: int = attribute_field(Integer(1), "number of channel groups", 1)
    padding_mode: str = attribute_field(
        Choice(("zeros", "reflect", "replicate", "circular")),
        "how the padding is filled",
        "zeros",
        role="detail",
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )

    def sliding_window(self, x: TensorType, weight: TensorType) -> SlidingWindow:
        axes = window_axes(x, self.over)
        kernel = tuple(weight[axis] for axis in axes)
        return build_window(x, axes, kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        require_floats(self.name, x)
        self.check_kernel(weight, bias, window_axes(x, self.over))
        window = self.sliding_window(x, weight)
        check_padding_mode(self.padding_mode, x, window.axes, window.pads)
        channels, each = concrete(x[CHANNEL]), concrete(weight[self.inputs])
        if channels != each * concrete(self.groups):
            groups = f" in {concrete(self.groups)} groups" if concrete(self.groups) > 1 else ""
            message = f"{self.name} has {channels} input channels, and a kernel for {each}{groups}"
            raise ShapeError("SB401", message)
        require_divisible(self.groups, weight[self.outputs], "output channels")
        others = [axis for axis in x.axes if axis not in (CHANNEL, *window.axes)]
        if weight.batched and others:
            message = f"each sample has a kernel of its own, and {x} has other axes: {join_names(others)}"
            raise ShapeError("SB404", message, "`flatten` or `slice` them before")
        sizes = x.with_sizes({CHANNEL: weight[self.outputs], **window.output_sizes(x)}).sizes
        return TensorType(sizes, "float", self.is_batched(x, weight, bias))

    def axis_strides(
        self, x: TensorType, weight: TensorType, bias: TensorType | None = None
    ) -> dict[str, AxisStride]:
        return self.sliding_window(x, weight).axis_strides()

    def count_macs(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> int:
        kernel = prod(concrete(n) for n in weight.sizes.values())
        out = self.infer_type(x, weight, bias)
        return kernel * (out.element_count // concrete(weight[self.outputs]))


@register_op("linear")
class KernelLinear(GivenKernelOp):
    """A linear map over one axis, by a matrix that is a value of the model; `linear: {weight: w}` means the same.

    The matrix has the axes `outputs` and `inputs`. If it has a batch, each sample has its own.
    """

    title = "linear"
    over: str = attribute_field(AxisName(), "axis that is transformed", CHANNEL)

    def infer_type(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        require_floats(self.name, x)
        self.check_kernel(weight, bias, ())
        size, count = concrete(x[self.over]), concrete(weight[self.inputs])
        if size != count:
            raise ShapeError("SB401", f"{self.name} has {size} inputs, and a matrix for {count}")
        sizes = x.with_sizes({self.over: weight[self.outputs]}).sizes
        return TensorType(sizes, "float", self.is_batched(x, weight, bias))

    def count_macs(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> int:
        return x.element_count * concrete(weight[self.outputs])

    def position_source(
        self, axis: str, x: TensorType, weight: TensorType, bias: TensorType | None = None
    ) -> PositionSource | None:
        return None if axis == self.over else PositionSource()

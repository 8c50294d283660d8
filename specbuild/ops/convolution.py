"""Convolutions and linear layers."""

from __future__ import annotations

from math import prod

from msgspec.structs import replace

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Choice, Integer, Padding, PerAxis
from specbuild.ops.base import AxisStride, Op, PositionSource, attribute_field, register_op, require_floats
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.types import CHANNEL, ShapeError, TensorType
from specbuild.ops.weight_spec import InputAxis, WeightSpec, bias_spec, kernel_spec
from specbuild.ops.window import (
    SlidingWindow,
    build_window,
    check_padding_mode,
    transposed_same_padding,
    values_per_axis,
    window_axes,
)

# The names of the weights of all linear ops.
KERNEL, BIAS = "kernel", "bias"


def require_divisible(part: int, whole: int, what: str, axis: str = CHANNEL) -> None:
    if whole % part:
        raise ShapeError(
            "SB401",
            f"{concrete(whole)} {what} cannot be divided by {concrete(part)} groups",
            "groups must divide the channels on both sides",
        )


@register_op("convolution")
class Conv(Op):
    """Convolution over one to three axes. With `weight: w`, its kernel is a value of the model: see `kernel_conv`."""

    given_form = "kernel_conv"

    channels: int = attribute_field(Integer(1), "number of output channels", role="output")
    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", 3, role="window")
    stride: int = attribute_field(PerAxis(Integer(1)), "stride along each axis", 1)
    padding: object = attribute_field(Padding(), "padding of the input", "same", role="detail")
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the kernel", 1)
    groups: int = attribute_field(
        Integer(1), "number of channel groups; as many as channels makes it depthwise", 1
    )
    bias: bool = attribute_field(
        Boolean(), "whether to add a learned bias to each channel", True, role="detail"
    )
    padding_mode: str = attribute_field(
        Choice(("zeros", "reflect", "replicate", "circular")),
        "how the padding is filled",
        "zeros",
        role="detail",
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )
    init: Init | None = attribute_field(
        InitKind(), "initial values of the kernel; by default those of the framework", None
    )
    bias_init: Init | None = attribute_field(
        InitKind("bias"), "initial values of the bias; by default those of the framework", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        return build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        require_divisible(self.groups, x[CHANNEL], "input channels")
        require_divisible(self.groups, self.channels, "output channels")
        window = self.sliding_window(x)
        check_padding_mode(self.padding_mode, x, window.axes, window.pads)
        return x.with_sizes({CHANNEL: self.channels, **window.output_sizes(x)})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        window = window_axes(x, self.over)
        kernels = values_per_axis(self.kernel, window, "kernel")
        window_sizes = dict(zip("DHW"[-len(window) :], kernels, strict=True))
        axes = {"O": self.channels, "I": concrete(x[CHANNEL]) // concrete(self.groups), **window_sizes}
        kernel = kernel_spec(axes, self.init, InputAxis(concrete(self.groups)))
        bias = bias_spec(self.channels, kernel, self.bias_init)
        return {KERNEL: kernel} | ({BIAS: bias} if self.bias else {})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).axis_strides()

    def count_macs(self, x: TensorType) -> int:
        inner = concrete(x[CHANNEL]) // concrete(self.groups)
        out = self.infer_type(x)
        return prod(map(concrete, self.sliding_window(x).kernel)) * inner * out.element_count


@register_op("convolution")
class ConvTranspose(Op):
    """Transposed convolution, the gradient of `conv` with respect to its input (arXiv 1603.07285).

    The output size is (n - 1) * stride + dilation * (kernel - 1) + 1 + output_padding minus the padding of
    both sides, which is cut off. With `tf_same` it is n * stride, as in Keras.
    """

    channels: int = attribute_field(Integer(1), "number of output channels", role="output")
    kernel: int = attribute_field(PerAxis(Integer(1)), "kernel size along each axis", role="window")
    stride: int = attribute_field(PerAxis(Integer(1)), "stride along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid", "tf_same")), "what is cut off on each side of the output", 0, role="detail"
    )
    output_padding: int = attribute_field(
        PerAxis(Integer(0)), "what is added to the end of each axis", 0, role="detail"
    )
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the elements of the kernel", 1)
    groups: int = attribute_field(Integer(1), "number of channel groups", 1)
    bias: bool = attribute_field(
        Boolean(), "whether to add a learned bias to each channel", True, role="detail"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; by default those of D, H, W", None
    )
    init: Init | None = attribute_field(
        InitKind(), "initial values of the kernel; by default those of the framework", None
    )
    bias_init: Init | None = attribute_field(
        InitKind("bias"), "initial values of the bias; by default those of the framework", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        """Return the window. Its `pads` are cut off the output."""
        window = build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        if window.pads is not None:
            return window
        return replace(window, pads=transposed_same_padding(window)[0])

    @property
    def accepts_too_little(self) -> bool:
        return True

    def resolve_output_padding(self, x: TensorType) -> tuple[int, ...]:
        """Return the output padding of each axis."""
        window = build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        padding = values_per_axis(self.output_padding, window.axes, "output_padding")
        if window.pads is None and any(padding):
            raise ShapeError("SB404", "tf_same determines the output size", "remove output_padding")
        return padding if window.pads is not None else transposed_same_padding(window)[1]

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        require_divisible(self.groups, x[CHANNEL], "input channels")
        require_divisible(self.groups, self.channels, "output channels")
        window, output_padding = self.sliding_window(x), self.resolve_output_padding(x)
        sizes = {}
        for i, (axis, pads) in enumerate(zip(window.axes, window.pads or (), strict=True)):
            if output_padding[i] and output_padding[i] >= max(window.stride[i], window.dilation[i]):
                raise ShapeError("SB403", "output_padding must be smaller than the stride or the dilation")
            length, padding = window.effective_size(i), concrete(max(pads))
            if padding >= length:
                raise ShapeError("SB403", f"padding of {padding} is not smaller than the window of {length}")
            size = (concrete(x[axis]) - 1) * concrete(window.stride[i]) + length + concrete(output_padding[i])
            sizes[axis] = size - sum(map(concrete, pads))
        return x.with_sizes({CHANNEL: self.channels, **sizes})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        window = self.sliding_window(x)
        window_sizes = dict(zip("DHW"[-len(window.axes) :], window.kernel, strict=True))
        axes = {"I": x[CHANNEL], "O": concrete(self.channels) // concrete(self.groups), **window_sizes}
        kernel = kernel_spec(axes, self.init, InputAxis(concrete(self.groups)))
        bias = bias_spec(self.channels, kernel, self.bias_init)
        return {KERNEL: kernel} | ({BIAS: bias} if self.bias else {})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).transposed_strides()

    def count_macs(self, x: TensorType) -> int:
        kernel = prod(concrete(n) for n in self.weight_specs(x)[KERNEL].axes.values())
        return kernel * (x.element_count // concrete(x[CHANNEL]))


@register_op("linear")
class Linear(Op):
    """A linear layer over one axis, the same at every position of the others.

    With `weight: w`, its matrix is a value of the model: see `kernel_linear`.
    """

    given_form = "kernel_linear"

    features: int = attribute_field(Integer(1), "output size", role="output")
    bias: bool = attribute_field(
        Boolean(), "whether to add a learned bias to each feature", True, role="detail"
    )
    over: str = attribute_field(AxisName(), "axis that is transformed", CHANNEL)
    init: Init | None = attribute_field(
        InitKind(), "initial values of the matrix; by default those of the framework", None
    )
    bias_init: Init | None = attribute_field(
        InitKind("bias"), "initial values of the bias; by default those of the framework", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        x[self.over]
        return x.with_sizes({self.over: self.features})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        axes = {"O": self.features, "I": x[self.over]}
        kernel = kernel_spec(axes, self.init, InputAxis(is_flattened=True))
        bias = bias_spec(self.features, kernel, self.bias_init)
        return {KERNEL: kernel} | ({BIAS: bias} if self.bias else {})

    def count_macs(self, x: TensorType) -> int:
        return x.element_count * concrete(self.features)

    def gives_size(self, axis: str) -> bool:
        return axis == self.over

    def position_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return None if axis == self.over else PositionSource()

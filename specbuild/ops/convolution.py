"""Ops that mix channels with learned weights: convolutions and linear maps."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import (
    AxisName,
    AxisNames,
    Boolean,
    Choice,
    Init,
    InitKind,
    Integer,
    Padding,
    PerAxis,
)
from specbuild.ops.base import AxisStride, Op, WeightSpec, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType
from specbuild.ops.window import (
    SlidingWindow,
    build_window,
    check_padding_mode,
    transposed_same_padding,
    values_per_axis,
)

MAX_PARAMETERS = 10**11


def require_divisible(part: int, whole: int, what: str, axis: str = CHANNEL) -> None:
    if whole % part:
        raise ShapeError(
            "SB401",
            f"{concrete(whole)} {what} cannot be divided by {concrete(part)} groups",
            "groups must divide the channels on both sides",
        )


@register_op("convolution")
class Conv(Op):
    """Convolution over one to three axes; each output channel reads every place under a sliding window."""

    channels: int = attribute_field(Integer(1), "channels that come out")
    kernel: int = attribute_field(PerAxis(Integer(1)), "length of the window along each axis", 3)
    stride: int = attribute_field(PerAxis(Integer(1)), "step of the window along each axis", 1)
    padding: object = attribute_field(Padding(), "what is added around the input", "same")
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the points of the window", 1)
    groups: int = attribute_field(
        Integer(1), "groups that channels are split into; as many as channels: depthwise", 1
    )
    bias: bool = attribute_field(Boolean(), "whether to add a learned number to each channel", True)
    padding_mode: str = attribute_field(
        Choice(("zeros", "reflect", "replicate", "circular")), "what the padding holds", "zeros"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; all of D, H, W that there are", None
    )
    init: Init | None = attribute_field(
        InitKind(), "how the kernel begins; otherwise as the framework does", None
    )
    bias_init: Init | None = attribute_field(
        InitKind(), "how the bias begins; otherwise as the framework does", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        return build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer_type(self, x: TensorType) -> TensorType:
        require_divisible(self.groups, x[CHANNEL], "input channels")
        require_divisible(self.groups, self.channels, "output channels")
        window = self.sliding_window(x)
        check_padding_mode(self.padding_mode, x, window.axes, window.pads)
        return x.with_sizes({CHANNEL: self.channels, **window.output_sizes(x)})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        places = dict(
            zip("DHW"[-len(self.sliding_window(x).axes) :], self.sliding_window(x).kernel, strict=True)
        )
        axes = {"O": self.channels, "I": concrete(x[CHANNEL]) // concrete(self.groups), **places}
        kernel = WeightSpec(axes, decays=True)
        return {"kernel": kernel} | ({"bias": WeightSpec({"O": self.channels})} if self.bias else {})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).axis_strides()

    def count_macs(self, x: TensorType) -> int:
        kernel = prod(concrete(n) for n in self.weight_specs(x)["kernel"].axes.values())
        out = self.infer_type(x)
        return kernel * (out.element_count // concrete(self.channels))


@register_op("convolution")
class ConvTranspose(Op):
    """Transposed convolution: each place is spread over a window, as the gradient of `conv` does (arXiv 1603.07285).

    A size n becomes (n - 1) * stride + dilation * (kernel - 1) + 1 + output_padding less the padding on both
    sides, which is cut off. With `tf_same` it becomes n * stride, as in Keras.
    """

    channels: int = attribute_field(Integer(1), "channels that come out")
    kernel: int = attribute_field(PerAxis(Integer(1)), "length of the window along each axis")
    stride: int = attribute_field(PerAxis(Integer(1)), "distance between the windows along each axis", 1)
    padding: object = attribute_field(
        Padding(("same", "valid", "tf_same")), "what is cut off the result on each side", 0
    )
    output_padding: int = attribute_field(PerAxis(Integer(0)), "what the result is longer by at its end", 0)
    dilation: int = attribute_field(PerAxis(Integer(1)), "distance between the points of the window", 1)
    groups: int = attribute_field(Integer(1), "groups that channels are split into", 1)
    bias: bool = attribute_field(Boolean(), "whether to add a learned number to each channel", True)
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes that the window slides over; all of D, H, W that there are", None
    )
    init: Init | None = attribute_field(
        InitKind(), "how the kernel begins; otherwise as the framework does", None
    )
    bias_init: Init | None = attribute_field(
        InitKind(), "how the bias begins; otherwise as the framework does", None
    )

    def sliding_window(self, x: TensorType) -> SlidingWindow:
        """The window; its `pads` are what is cut off."""
        found = build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        return found if found.pads is not None else replace(found, pads=transposed_same_padding(found)[0])

    def resolve_output_padding(self, x: TensorType) -> tuple[int, ...]:
        """What the result is longer by at its end, for each axis."""
        found = build_window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        given = values_per_axis(self.output_padding, found.axes, "output_padding")
        if found.pads is None and any(given):
            raise ShapeError("SB404", "tf_same says what the result's size is", "leave output_padding out")
        return given if found.pads is not None else transposed_same_padding(found)[1]

    def infer_type(self, x: TensorType) -> TensorType:
        require_divisible(self.groups, x[CHANNEL], "input channels")
        require_divisible(self.groups, self.channels, "output channels")
        window, longer = self.sliding_window(x), self.resolve_output_padding(x)
        sizes = {}
        for i, (axis, pads) in enumerate(zip(window.axes, window.pads or (), strict=True)):
            if longer[i] and longer[i] >= max(window.stride[i], window.dilation[i]):
                raise ShapeError("SB403", "output_padding must be less than the stride or the dilation")
            if max(pads) >= window.effective_size(i):
                raise ShapeError(
                    "SB403",
                    f"padding of {concrete(max(pads))} cuts off more than a window of {window.effective_size(i)}",
                )
            size = (
                (concrete(x[axis]) - 1) * concrete(window.stride[i])
                + window.effective_size(i)
                + concrete(longer[i])
            )
            sizes[axis] = size - sum(map(concrete, pads))
        return x.with_sizes({CHANNEL: self.channels, **sizes})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        places = dict(
            zip("DHW"[-len(self.sliding_window(x).axes) :], self.sliding_window(x).kernel, strict=True)
        )
        axes = {"I": x[CHANNEL], "O": concrete(self.channels) // concrete(self.groups), **places}
        kernel = WeightSpec(axes, decays=True)
        return {"kernel": kernel} | ({"bias": WeightSpec({"O": self.channels})} if self.bias else {})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return self.sliding_window(x).transposed_strides()

    def count_macs(self, x: TensorType) -> int:
        kernel = prod(concrete(n) for n in self.weight_specs(x)["kernel"].axes.values())
        return kernel * (x.element_count // concrete(x[CHANNEL]))


@register_op("linear")
class Linear(Op):
    """Matrix product over one axis, at every place alike, plus a bias."""

    features: int = attribute_field(Integer(1), "size that comes out")
    bias: bool = attribute_field(Boolean(), "whether to add a learned number to each feature", True)
    over: str = attribute_field(AxisName(), "axis that is mixed", CHANNEL)
    init: Init | None = attribute_field(
        InitKind(), "how the matrix begins; otherwise as the framework does", None
    )
    bias_init: Init | None = attribute_field(
        InitKind(), "how the bias begins; otherwise as the framework does", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        return x.with_sizes({self.over: self.features})

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        kernel = WeightSpec({"O": self.features, "I": x[self.over]}, decays=True)
        return {"kernel": kernel} | ({"bias": WeightSpec({"O": self.features})} if self.bias else {})

    def count_macs(self, x: TensorType) -> int:
        return x.element_count * concrete(self.features)

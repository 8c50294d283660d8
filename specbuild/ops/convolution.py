"""Ops that mix channels with learned weights: convolutions and linear maps."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from specbuild.expressions import plain
from specbuild.ops.attribute_kinds import Axes, Axis, Choice, Flag, Init, InitKind, Integer, Padding, PerAxis
from specbuild.ops.base import Op, Places, Weight, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor
from specbuild.ops.window import Window, fill, spread, transposed, window

MAX_PARAMETERS = 10**11


def divides(part: int, whole: int, what: str, axis: str = CHANNEL) -> None:
    if whole % part:
        raise ShapeError(
            "SB401",
            f"{plain(whole)} {what} cannot be divided by {plain(part)} groups",
            "groups must divide the channels on both sides",
        )


@op("convolution")
class Conv(Op):
    """Convolution over one to three axes; each output channel reads every place under a sliding window."""

    channels: int = attr(Integer(1), "channels that come out")
    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis", 3)
    stride: int = attr(PerAxis(Integer(1)), "step of the window along each axis", 1)
    padding: object = attr(Padding(), "what is added around the input", "same")
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    groups: int = attr(Integer(1), "groups that channels are split into; as many as channels: depthwise", 1)
    bias: bool = attr(Flag(), "whether to add a learned number to each channel", True)
    padding_mode: str = attr(
        Choice(("zeros", "reflect", "replicate", "circular")), "what the padding holds", "zeros"
    )
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the window slides over; all of D, H, W that there are", None
    )
    init: Init | None = attr(InitKind(), "how the kernel begins; otherwise as the framework does", None)
    bias_init: Init | None = attr(InitKind(), "how the bias begins; otherwise as the framework does", None)

    def window(self, x: Tensor) -> Window:
        return window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, x: Tensor) -> Tensor:
        divides(self.groups, x[CHANNEL], "input channels")
        divides(self.groups, self.channels, "output channels")
        window = self.window(x)
        fill(self.padding_mode, x, window.axes, window.pads)
        return x.resized({CHANNEL: self.channels, **window.sizes(x)})

    def weights(self, x: Tensor) -> dict[str, Weight]:
        places = dict(zip("DHW"[-len(self.window(x).axes) :], self.window(x).kernel, strict=True))
        axes = {"O": self.channels, "I": plain(x[CHANNEL]) // plain(self.groups), **places}
        kernel = Weight(axes, decays=True)
        return {"kernel": kernel} | ({"bias": Weight({"O": self.channels})} if self.bias else {})

    def places(self, x: Tensor) -> dict[str, Places]:
        return self.window(x).places()

    def macs(self, x: Tensor) -> int:
        kernel = prod(plain(n) for n in self.weights(x)["kernel"].axes.values())
        out = self.infer(x)
        return kernel * (out.elements // plain(self.channels))


@op("convolution")
class ConvTranspose(Op):
    """Transposed convolution: each place is spread over a window, as the gradient of `conv` does (arXiv 1603.07285).

    A size n becomes (n - 1) * stride + dilation * (kernel - 1) + 1 + output_padding less the padding on both
    sides, which is cut off. With `tf_same` it becomes n * stride, as in Keras.
    """

    channels: int = attr(Integer(1), "channels that come out")
    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis")
    stride: int = attr(PerAxis(Integer(1)), "distance between the windows along each axis", 1)
    padding: object = attr(
        Padding(("same", "valid", "tf_same")), "what is cut off the result on each side", 0
    )
    output_padding: int = attr(PerAxis(Integer(0)), "what the result is longer by at its end", 0)
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    groups: int = attr(Integer(1), "groups that channels are split into", 1)
    bias: bool = attr(Flag(), "whether to add a learned number to each channel", True)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the window slides over; all of D, H, W that there are", None
    )
    init: Init | None = attr(InitKind(), "how the kernel begins; otherwise as the framework does", None)
    bias_init: Init | None = attr(InitKind(), "how the bias begins; otherwise as the framework does", None)

    def window(self, x: Tensor) -> Window:
        """The window; its `pads` are what is cut off."""
        found = window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        return found if found.pads is not None else replace(found, pads=transposed(found)[0])

    def longer(self, x: Tensor) -> tuple[int, ...]:
        """What the result is longer by at its end, for each axis."""
        found = window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)
        given = spread(self.output_padding, found.axes, "output_padding")
        if found.pads is None and any(given):
            raise ShapeError("SB404", "tf_same says what the result's size is", "leave output_padding out")
        return given if found.pads is not None else transposed(found)[1]

    def infer(self, x: Tensor) -> Tensor:
        divides(self.groups, x[CHANNEL], "input channels")
        divides(self.groups, self.channels, "output channels")
        window, longer = self.window(x), self.longer(x)
        sizes = {}
        for i, (axis, pads) in enumerate(zip(window.axes, window.pads or (), strict=True)):
            if longer[i] and longer[i] >= max(window.stride[i], window.dilation[i]):
                raise ShapeError("SB403", "output_padding must be less than the stride or the dilation")
            if max(pads) >= window.reach(i):
                raise ShapeError(
                    "SB403", f"padding of {plain(max(pads))} cuts off more than a window of {window.reach(i)}"
                )
            size = (plain(x[axis]) - 1) * plain(window.stride[i]) + window.reach(i) + plain(longer[i])
            sizes[axis] = size - sum(map(plain, pads))
        return x.resized({CHANNEL: self.channels, **sizes})

    def weights(self, x: Tensor) -> dict[str, Weight]:
        places = dict(zip("DHW"[-len(self.window(x).axes) :], self.window(x).kernel, strict=True))
        axes = {"I": x[CHANNEL], "O": plain(self.channels) // plain(self.groups), **places}
        kernel = Weight(axes, decays=True)
        return {"kernel": kernel} | ({"bias": Weight({"O": self.channels})} if self.bias else {})

    def places(self, x: Tensor) -> dict[str, Places]:
        return self.window(x).spread_places()

    def macs(self, x: Tensor) -> int:
        kernel = prod(plain(n) for n in self.weights(x)["kernel"].axes.values())
        return kernel * (x.elements // plain(x[CHANNEL]))


@op("linear")
class Linear(Op):
    """Matrix product over one axis, at every place alike, plus a bias."""

    features: int = attr(Integer(1), "size that comes out")
    bias: bool = attr(Flag(), "whether to add a learned number to each feature", True)
    over: str = attr(Axis(), "axis that is mixed", CHANNEL)
    init: Init | None = attr(InitKind(), "how the matrix begins; otherwise as the framework does", None)
    bias_init: Init | None = attr(InitKind(), "how the bias begins; otherwise as the framework does", None)

    def infer(self, x: Tensor) -> Tensor:
        x[self.over]
        return x.resized({self.over: self.features})

    def weights(self, x: Tensor) -> dict[str, Weight]:
        kernel = Weight({"O": self.features, "I": x[self.over]}, decays=True)
        return {"kernel": kernel} | ({"bias": Weight({"O": self.features})} if self.bias else {})

    def macs(self, x: Tensor) -> int:
        return x.elements * plain(self.features)

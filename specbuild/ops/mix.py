"""Ops that mix channels with learned weights: convolutions and linear maps."""

from __future__ import annotations

from math import prod

from specbuild.axes import CHANNEL, ShapeError, Tensor
from specbuild.ops.base import Op, Weight, attr, op
from specbuild.ops.kinds import Axes, Axis, Choice, Flag, Init, InitKind, Integer, Padding, PerAxis
from specbuild.ops.window import Window, window
from specbuild.words import plain

MAX_PARAMETERS = 10**11


def divides(part: int, whole: int, what: str, axis: str = CHANNEL) -> None:
    if whole % part:
        raise ShapeError("SB401", f"{plain(whole)} {what} cannot be divided by {plain(part)} groups", "groups must divide the channels on both sides")


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
    padding_mode: str = attr(Choice(("zeros", "reflect", "replicate", "circular")), "what the padding holds", "zeros")
    over: tuple[str, ...] | None = attr(Axes(), "axes that the window slides over; all of D, H, W that there are", None)
    init: Init | None = attr(InitKind(), "how the kernel begins; otherwise as the framework does", None)
    bias_init: Init | None = attr(InitKind(), "how the bias begins; otherwise as the framework does", None)

    def window(self, x: Tensor) -> Window:
        return window(x, self.over, self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, x: Tensor) -> Tensor:
        divides(self.groups, x[CHANNEL], "input channels")
        divides(self.groups, self.channels, "output channels")
        return x.resized({CHANNEL: self.channels, **self.window(x).sizes(x)})

    def weights(self, x: Tensor) -> dict[str, Weight]:
        places = dict(zip("DHW"[-len(self.window(x).axes) :], self.window(x).kernel, strict=True))
        kernel = Weight({"O": self.channels, "I": plain(x[CHANNEL]) // plain(self.groups), **places})
        return {"kernel": kernel} | ({"bias": Weight({"O": self.channels})} if self.bias else {})

    def macs(self, x: Tensor) -> int:
        kernel = prod(plain(n) for n in self.weights(x)["kernel"].axes.values())
        out = self.infer(x)
        return kernel * (out.elements // plain(self.channels))


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
        kernel = Weight({"O": self.features, "I": x[self.over]})
        return {"kernel": kernel} | ({"bias": Weight({"O": self.features})} if self.bias else {})

    def macs(self, x: Tensor) -> int:
        return x.elements * plain(self.features)

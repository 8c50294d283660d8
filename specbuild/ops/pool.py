"""Pooling: a summary under a sliding window, or under as many windows as are asked for."""

from __future__ import annotations

from specbuild.expressions import plain
from specbuild.ops.attribute_kinds import Axes, Flag, Integer, Padding, PerAxis
from specbuild.ops.base import Op, Places, attr, op
from specbuild.ops.types import ShapeError, Tensor
from specbuild.ops.window import Window, beside, slid, spread, window


class Pool(Op):
    """A summary under a sliding window."""

    kernel: int
    stride: int | None
    padding: object
    ceil_mode: bool
    over: tuple[str, ...] | None

    def window(self, x: Tensor) -> Window:
        stride = self.kernel if self.stride is None else self.stride
        return window(x, self.over, self.kernel, stride, self.padding, getattr(self, "dilation", 1))

    def infer(self, x: Tensor) -> Tensor:
        window = self.window(x)
        beside(x, window.axes)
        window.covers()
        return x.resized((window.ceiled() if self.ceil_mode else window).sizes(x))

    def places(self, x: Tensor) -> dict[str, Places]:
        return self.window(x).places()


@op("pooling")
class MaxPool(Pool):
    """The largest value under a sliding window."""

    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis", 2)
    stride: int | None = attr(
        PerAxis(Integer(1)), "step of the window along each axis; the kernel's length if not given", None
    )
    padding: object = attr(Padding(), "what is added around the input; it never wins", 0)
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    ceil_mode: bool = attr(Flag(), "whether a last window may reach over the end", False)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the window slides over; all of D, H, W that there are", None
    )


@op("pooling")
class AvgPool(Pool):
    """The mean under a sliding window."""

    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis", 2)
    stride: int | None = attr(
        PerAxis(Integer(1)), "step of the window along each axis; the kernel's length if not given", None
    )
    padding: object = attr(Padding(), "zeros that are added around the input", 0)
    ceil_mode: bool = attr(Flag(), "whether a last window may reach over the end", False)
    count_include_pad: bool = attr(Flag(), "whether the zeros of the padding count in the mean", True)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that the window slides over; all of D, H, W that there are", None
    )

    def infer(self, x: Tensor) -> Tensor:
        if self.padding == "tf_same" and self.count_include_pad:
            raise ShapeError(
                "SB404", "with tf_same, padding does not count in a mean", "say `count_include_pad: false`"
            )
        return super().infer(x)


class AdaptivePool(Op):
    """A summary of as many windows as are asked for: the i-th of n reaches from floor(i * size / n) to ceil((i + 1) * size / n)."""

    size: int
    over: tuple[str, ...] | None

    def axes(self, x: Tensor) -> tuple[str, ...]:
        return slid(x, self.over)

    def sizes(self, x: Tensor) -> tuple[int, ...]:
        return spread(self.size, self.axes(x), "size")

    def infer(self, x: Tensor) -> Tensor:
        beside(x, self.axes(x))
        return x.resized(dict(zip(self.axes(x), self.sizes(x), strict=True)))

    def places(self, x: Tensor) -> dict[str, Places]:
        sizes = zip(self.axes(x), self.sizes(x), strict=True)
        return {axis: Places(axis, plain(x[axis]), plain(size)) for axis, size in sizes}


@op("pooling")
class AdaptiveAvgPool(AdaptivePool):
    """The mean over each of `size` windows that cover the axes evenly; they overlap where the size does not divide.

    The i-th of n windows over m places reaches from floor(i * m / n) to ceil((i + 1) * m / n).
    """

    size: int = attr(PerAxis(Integer(1)), "size that comes out along each axis", 1)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that are summarised; all of D, H, W that there are", None
    )


@op("pooling")
class AdaptiveMaxPool(AdaptivePool):
    """The largest value in each of `size` windows that cover the axes evenly; they overlap where the size does not divide.

    The i-th of n windows over m places reaches from floor(i * m / n) to ceil((i + 1) * m / n).
    """

    size: int = attr(PerAxis(Integer(1)), "size that comes out along each axis", 1)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes that are summarised; all of D, H, W that there are", None
    )

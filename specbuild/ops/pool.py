"""Pooling: a summary under a sliding window."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.ops.base import Op, attr, op
from specbuild.ops.kinds import Axes, Flag, Integer, Padding, PerAxis
from specbuild.ops.window import Window, window


@op("pooling")
class MaxPool(Op):
    """The largest value under a sliding window."""

    kernel: int = attr(PerAxis(Integer(1)), "length of the window along each axis", 2)
    stride: int | None = attr(PerAxis(Integer(1)), "step of the window along each axis; the kernel's length if not given", None)
    padding: object = attr(Padding(), "what is added around the input; it never wins", 0)
    dilation: int = attr(PerAxis(Integer(1)), "distance between the points of the window", 1)
    ceil_mode: bool = attr(Flag(), "whether a last window may reach over the end", False)
    over: tuple[str, ...] | None = attr(Axes(), "axes that the window slides over; all of D, H, W that there are", None)

    def window(self, x: Tensor) -> Window:
        return window(x, self.over, self.kernel, self.kernel if self.stride is None else self.stride, self.padding, self.dilation)

    def infer(self, x: Tensor) -> Tensor:
        return x.resized(self.window(x).sizes(x, self.ceil_mode))

"""Reductions: axes summarised away."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.ops.base import Op, attr, op
from specbuild.ops.kinds import Axes, Flag


class Reduction(Op):
    """A summary over axes; `keep` leaves them with size 1."""

    light = True
    over: tuple[str, ...]
    keep: bool

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return x.resized(dict.fromkeys(self.over, 1)) if self.keep else x.without(*self.over)


@op("reduction")
class Mean(Reduction):
    """The mean over axes."""

    over: tuple[str, ...] = attr(Axes(), "axes that are summarised")
    keep: bool = attr(Flag(), "whether to leave the axes, with size 1", False)


@op("reduction")
class Max(Reduction):
    """The largest value over axes."""

    over: tuple[str, ...] = attr(Axes(), "axes that are summarised")
    keep: bool = attr(Flag(), "whether to leave the axes, with size 1", False)


@op("reduction")
class Sum(Reduction):
    """The sum over axes."""

    over: tuple[str, ...] = attr(Axes(), "axes that are summarised")
    keep: bool = attr(Flag(), "whether to leave the axes, with size 1", False)

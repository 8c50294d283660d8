"""Reductions: axes summarised away, or numbers summed along them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from specbuild.expressions import plain
from specbuild.ops.attribute_kinds import Axes, Axis, Flag, Integer, Real
from specbuild.ops.base import Op, attr, floats, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Reduction(Op):
    """A summary over axes; `keep` leaves them with size 1."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes that are summarised")
    keep: bool = attr(Flag(), "whether to leave the axes, with size 1", False)

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return self.typed(x.resized(dict.fromkeys(self.over, 1)) if self.keep else x.without(*self.over))

    def typed(self, x: Tensor) -> Tensor:
        """The type of the summary, as far as it is not a matter of axes."""
        return floats(self.name, x)


class Counting(Reduction):
    """A summary that whole numbers have too."""

    def typed(self, x: Tensor) -> Tensor:
        return x if x.dtype == "int32" else floats(self.name, x)


@op("reduction")
class Sum(Reduction):
    """The sum over axes; of true and false, how many are true."""

    def typed(self, x: Tensor) -> Tensor:
        return x.typed("int32") if x.dtype == "bool" else x


@op("reduction")
class Mean(Reduction):
    """The mean over axes."""


@op("reduction")
class Max(Counting):
    """The largest value over axes."""


@op("reduction")
class Min(Counting):
    """The smallest value over axes."""


@op("reduction")
class Prod(Reduction):
    """The product over axes."""


@op("reduction")
class Logsumexp(Reduction):
    """log(sum(exp(x))) over axes, without overflow: a smooth maximum."""


@op("reduction")
class L2Norm(Reduction):
    """The root of the sum of squares over axes."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Spread(Reduction):
    """How far values lie from their mean."""

    correction: int = attr(Integer(0), "how much less than their number the squares are divided by", 1)

    def infer(self, x: Tensor) -> Tensor:
        found = super().infer(x)
        count = prod(plain(x[axis]) for axis in self.over)
        if count <= self.correction:
            raise ShapeError(
                "SB401",
                f"{self.name} of {count} values with correction {plain(self.correction)} divides by zero",
                "say `correction: 0`" if self.correction == 1 else "",
            )
        return found


@op("reduction")
class Variance(Spread):
    """The sum of squared distances from the mean over axes, divided by their number less `correction`.

    As PyTorch's, it is the unbiased one unless told otherwise; norms use `correction: 0`.
    """


@op("reduction")
class Std(Spread):
    """The root of the variance over axes, unbiased unless told otherwise; see `variance`."""


@op("reduction")
class Argmax(Op):
    """The place of the largest value along an axis, counted from 0; no gradient passes."""

    light = True
    over: str = attr(Axis(), "axis that is searched")
    keep: bool = attr(Flag(), "whether to leave the axis, with size 1", False)

    def infer(self, x: Tensor) -> Tensor:
        x[self.over]
        return (x.resized({self.over: 1}) if self.keep else x.without(self.over)).typed("int32")


@op("reduction")
class Cumsum(Op):
    """At each place, the sum of all up to it along an axis."""

    light = True
    over: str = attr(Axis(), "axis along which numbers are summed up")

    def infer(self, x: Tensor) -> Tensor:
        x[self.over]
        return x.typed("int32") if x.dtype == "bool" else x


@op("reduction")
class Normalize(Op):
    """x divided by the root of its sum of squares over axes, or by `epsilon` if that is more."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes over which the squares sum to one", (CHANNEL,))
    epsilon: float = attr(Real(0), "the least that is divided by", 1e-12)

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return floats(self.name, x)

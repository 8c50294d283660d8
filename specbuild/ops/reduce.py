"""Reductions: axes summarised away, or numbers summed along them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Integer, Real
from specbuild.ops.base import Op, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, ShapeError, TensorType


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Reduction(Op):
    """A summary over axes; `keep` leaves them with size 1."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes that are summarised")
    keep: bool = attribute_field(Boolean(), "whether to leave the axes, with size 1", False)

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return self.check_dtype(
            x.with_sizes(dict.fromkeys(self.over, 1)) if self.keep else x.without_axes(*self.over)
        )

    def check_dtype(self, x: TensorType) -> TensorType:
        """The type of the summary, as far as it is not a matter of axes."""
        return require_floats(self.name, x)


class IntegerReduction(Reduction):
    """A summary that whole numbers have too."""

    def check_dtype(self, x: TensorType) -> TensorType:
        return x if x.dtype == "int32" else require_floats(self.name, x)


@register_op("reduction")
class Sum(Reduction):
    """The sum over axes; of true and false, how many are true."""

    def check_dtype(self, x: TensorType) -> TensorType:
        return x.with_dtype("int32") if x.dtype == "bool" else x


@register_op("reduction")
class Mean(Reduction):
    """The mean over axes."""


@register_op("reduction")
class Max(IntegerReduction):
    """The largest value over axes."""


@register_op("reduction")
class Min(IntegerReduction):
    """The smallest value over axes."""


@register_op("reduction")
class Prod(Reduction):
    """The product over axes."""


@register_op("reduction")
class Logsumexp(Reduction):
    """log(sum(exp(x))) over axes, without overflow: a smooth maximum."""


@register_op("reduction")
class L2Norm(Reduction):
    """The root of the sum of squares over axes."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DispersionReduction(Reduction):
    """How far values lie from their mean."""

    correction: int = attribute_field(
        Integer(0), "how much less than their number the squares are divided by", 1
    )

    def infer_type(self, x: TensorType) -> TensorType:
        found = super().infer_type(x)
        count = prod(concrete(x[axis]) for axis in self.over)
        if count <= self.correction:
            raise ShapeError(
                "SB401",
                f"{self.name} of {count} values with correction {concrete(self.correction)} divides by zero",
                "say `correction: 0`" if self.correction == 1 else "",
            )
        return found


@register_op("reduction")
class Variance(DispersionReduction):
    """The sum of squared distances from the mean over axes, divided by their number less `correction`.

    As PyTorch's, it is the unbiased one unless told otherwise; norms use `correction: 0`.
    """


@register_op("reduction")
class Std(DispersionReduction):
    """The root of the variance over axes, unbiased unless told otherwise; see `variance`."""


@register_op("reduction")
class Argmax(Op):
    """The place of the largest value along an axis, counted from 0; no gradient passes."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis that is searched")
    keep: bool = attribute_field(Boolean(), "whether to leave the axis, with size 1", False)

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        return (x.with_sizes({self.over: 1}) if self.keep else x.without_axes(self.over)).with_dtype("int32")


@register_op("reduction")
class Cumsum(Op):
    """At each place, the sum of all up to it along an axis."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis along which numbers are summed up")

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        return x.with_dtype("int32") if x.dtype == "bool" else x


@register_op("reduction")
class Normalize(Op):
    """x divided by the root of its sum of squares over axes, or by `epsilon` if that is more."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes over which the squares sum to one", (CHANNEL,))
    epsilon: float = attribute_field(Real(0), "the least that is divided by", 1e-12)

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

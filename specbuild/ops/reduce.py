"""Reductions over axes, cumulative sums, and normalization to unit length."""

from __future__ import annotations

from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Integer, Real
from specbuild.ops.base import Op, attribute_field, declare_attributes, register_op, require_floats
from specbuild.ops.types import CHANNEL, ShapeError, TensorType


@declare_attributes
class Reduction(Op):
    """A reduction over axes; with `keep`, they stay with size 1."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes to reduce")
    keep: bool = attribute_field(Boolean(), "whether to keep the axes with size 1", False, role="detail")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return self.check_dtype(
            x.with_sizes(dict.fromkeys(self.over, 1)) if self.keep else x.without_axes(*self.over)
        )

    def check_dtype(self, x: TensorType) -> TensorType:
        """Return the type with the dtype of the result.

        Raises ShapeError if the op does not support the dtype.
        """
        return require_floats(self.name, x)


class IntegerReduction(Reduction):
    """A reduction that also works on integers."""

    def check_dtype(self, x: TensorType) -> TensorType:
        return x if x.dtype == "int32" else require_floats(self.name, x)


@register_op("reduction")
class Sum(Reduction):
    """The sum over axes; of a mask, the number of true elements."""

    def check_dtype(self, x: TensorType) -> TensorType:
        return x.with_dtype("int32") if x.dtype == "bool" else x


@register_op("reduction")
class Mean(Reduction):
    """The mean over axes."""


@register_op("reduction")
class Max(IntegerReduction):
    """The maximum over axes."""


@register_op("reduction")
class Min(IntegerReduction):
    """The minimum over axes."""


@register_op("reduction")
class Prod(Reduction):
    """The product over axes."""


@register_op("reduction")
class Logsumexp(Reduction):
    """log(sum(exp(x))) over axes, computed without overflow: a smooth maximum."""


@register_op("reduction")
class L2Norm(Reduction):
    """The square root of the sum of squares over axes."""


@declare_attributes
class DispersionReduction(Reduction):
    """A reduction to a measure of dispersion."""

    correction: int = attribute_field(
        Integer(0), "number subtracted from the count in the divisor", 1, role="detail"
    )

    @property
    def accepts_too_little(self) -> bool:
        return True

    def infer_type(self, x: TensorType) -> TensorType:
        result = super().infer_type(x)
        count = prod(concrete(x[axis]) for axis in self.over)
        if count <= self.correction:
            raise ShapeError(
                "SB401",
                f"{self.name} of {count} values with correction {concrete(self.correction)} divides by zero",
                "`correction: 0` divides by the count itself; else it needs more values"
                if self.correction == 1
                else "",
            )
        return result


@register_op("reduction")
class Variance(DispersionReduction):
    """The variance over axes: the sum of squared deviations, divided by the count minus `correction`.

    By default it is unbiased, as in PyTorch; normalisation layers use `correction: 0`.
    """


@register_op("reduction")
class Std(DispersionReduction):
    """The standard deviation over axes: the square root of `variance`."""


@register_op("reduction")
class Argmax(Op):
    """The position of the maximum along an axis, counted from 0; no gradient flows through it."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis to search")
    keep: bool = attribute_field(Boolean(), "whether to keep the axis with size 1", False, role="detail")

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        return (x.with_sizes({self.over: 1}) if self.keep else x.without_axes(self.over)).with_dtype("int32")


@register_op("reduction")
class Cumsum(Op):
    """The cumulative sum along an axis."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis along which numbers are summed")

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        return x.with_dtype("int32") if x.dtype == "bool" else x


@register_op("reduction")
class Normalize(Op):
    """x divided by the square root of its sum of squares over axes, or by `epsilon` if that is larger."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes over which the squares of the result sum to one", (CHANNEL,)
    )
    epsilon: float = attribute_field(Real(0), "the smallest divisor", 1e-12, role="detail")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

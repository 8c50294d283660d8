"""Elementwise arithmetic on one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuild.ops.attribute_kinds import Choice, Real
from specbuild.ops.base import (
    InputSpec,
    Op,
    attribute_field,
    register_op,
    require_floats,
    require_numbers,
    require_whole,
)
from specbuild.ops.merge import broadcast_types
from specbuild.ops.types import ShapeError, TensorType, share_axes


class MathOp(Op):
    """An elementwise function."""

    can_inline = True


class NumberMathOp(MathOp):
    """An elementwise function of floats or integers."""

    def infer_type(self, x: TensorType) -> TensorType:
        return require_numbers(self.name, x)


class FloatMathOp(MathOp):
    """An elementwise function of floats."""

    def infer_type(self, x: TensorType) -> TensorType:
        return require_floats(self.name, x)


@register_op("math")
class Neg(NumberMathOp):
    """-x."""


@register_op("math")
class Abs(NumberMathOp):
    """|x|."""


@register_op("math")
class Sign(NumberMathOp):
    """-1, 0 or 1 for a negative, zero or positive x; no gradient flows through it."""


@register_op("math")
class Square(NumberMathOp):
    """x * x."""


@register_op("math")
class Sqrt(FloatMathOp):
    """The square root of x; x must not be negative."""


@register_op("math")
class Rsqrt(FloatMathOp):
    """1 / sqrt(x); x must be positive."""


@register_op("math")
class Reciprocal(FloatMathOp):
    """1 / x."""


@register_op("math")
class Exp(FloatMathOp):
    """e to the power of x."""


@register_op("math")
class Log(FloatMathOp):
    """The natural logarithm of x; x must be positive."""


@register_op("math")
class Sin(FloatMathOp):
    """The sine of x, in radians."""


@register_op("math")
class Cos(FloatMathOp):
    """The cosine of x, in radians."""


@register_op("math")
class Erf(FloatMathOp):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x."""


@register_op("math")
class Floor(FloatMathOp):
    """The largest whole number that is at most x; no gradient flows through it."""


@register_op("math")
class Trunc(FloatMathOp):
    """x without its fraction: the whole number next to it toward zero; no gradient flows through it."""


@register_op("math")
class Cast(MathOp):
    """x with another dtype. Floats become integers toward zero, and true where they are not 0; true becomes 1.

    Floats get the precision of the model. A float that is no number, or beyond the range of int32, has no
    integer, and the frameworks differ.
    """

    dtype: str = attribute_field(Choice(("float", "int32", "bool")), "the dtype of the result")

    def infer_type(self, x: TensorType) -> TensorType:
        return x.with_dtype(self.dtype)


@register_op("math")
class StopGradient(MathOp):
    """x, treated as a constant in training: no gradient flows through it."""


@register_op("math")
class Scale(MathOp):
    """by * x + plus, with fixed numbers: 1 - x is `scale: {by: -1, plus: 1}`. For integers, whole numbers."""

    by: float = attribute_field(Real(), "the factor", 1)
    plus: float = attribute_field(Real(), "the number added after that", 0)

    def infer_type(self, x: TensorType) -> TensorType:
        require_numbers(self.name, x)
        require_whole(self.name, x, by=self.by, plus=self.plus)
        return x


@register_op("math")
class Power(MathOp):
    """x to the power of a fixed number or of another value. A fractional power needs x > 0."""

    input_specs = (
        InputSpec("x", "the base"),
        InputSpec("to", "the exponent, aligned by axis name", optional=True),
    )
    exponent: float | None = attribute_field(Real(), "the exponent, as a fixed number", None)

    def infer_type(self, x: TensorType, to: TensorType | None = None) -> TensorType:
        if (to is None) == (self.exponent is None):
            raise ShapeError(
                "SB103",
                "power needs either `exponent`, a fixed number, or `to`, another value",
                "for example `power: {exponent: 2}`",
            )
        if self.exponent is not None and x.dtype == "int32":
            require_whole(self.name, x, exponent=self.exponent)
            if self.exponent < 0:
                raise ShapeError("SB304", "a negative power of an integer is not an integer")
            return x
        return (
            require_floats(self.name, x)
            if to is None
            else broadcast_types((require_floats(self.name, x), require_floats(self.name, to)))
        )

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)


@register_op("math")
class Clip(MathOp):
    """x limited to the range from `min` to `max`; outside of it, no gradient flows."""

    min: float | None = attribute_field(Real(), "the lower limit; none by default", None)
    max: float | None = attribute_field(Real(), "the upper limit; none by default", None)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.min is None and self.max is None:
            raise ShapeError("SB103", "clip needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ShapeError("SB304", f"clip: min {self.min} is greater than max {self.max}")
        require_whole(self.name, x, min=self.min, max=self.max)
        return require_numbers(self.name, x)

"""Arithmetic on one value, number by number."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import Real
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.merge import broadcast_types
from specbuild.ops.types import ShapeError, TensorType


class MathOp(Op):
    """A function of each number by itself."""

    can_inline = True


class FloatMathOp(MathOp):
    """A function of each number by itself that only floats have."""

    def infer_type(self, x: TensorType) -> TensorType:
        return require_floats(self.name, x)


@register_op("math")
class Neg(MathOp):
    """-x."""


@register_op("math")
class Abs(MathOp):
    """|x|."""


@register_op("math")
class Sign(MathOp):
    """-1, 0 or 1, as x is negative, zero or positive; no gradient passes."""


@register_op("math")
class Square(MathOp):
    """x x."""


@register_op("math")
class Sqrt(FloatMathOp):
    """The square root of x, which may not be negative."""


@register_op("math")
class Rsqrt(FloatMathOp):
    """1 over the square root of x, which must be positive."""


@register_op("math")
class Reciprocal(FloatMathOp):
    """1 / x."""


@register_op("math")
class Exp(FloatMathOp):
    """e to the power of x."""


@register_op("math")
class Log(FloatMathOp):
    """The natural logarithm of x, which must be positive."""


@register_op("math")
class Sin(FloatMathOp):
    """The sine of x, in radians."""


@register_op("math")
class Cos(FloatMathOp):
    """The cosine of x, in radians."""


@register_op("math")
class Floor(FloatMathOp):
    """The largest whole number not above x; no gradient passes."""


@register_op("math")
class StopGradient(MathOp):
    """x, held constant in training: no gradient passes."""


@register_op("math")
class Scale(FloatMathOp):
    """by x + plus, with fixed numbers: 1 - x is `scale: {by: -1, plus: 1}`."""

    by: float = attribute_field(Real(), "what each number is multiplied by", 1.0)
    plus: float = attribute_field(Real(), "what is then added", 0.0)


@register_op("math")
class Power(MathOp):
    """x to a power: a fixed one, or one that is itself a value. A power like 0.5 needs x > 0."""

    input_specs = (
        InputSpec("x", "what is raised"),
        InputSpec("to", "the power, met by axis name", optional=True),
    )
    exponent: float | None = attribute_field(Real(), "the power, where it is fixed", None)

    def infer_type(self, x: TensorType, to: TensorType | None = None) -> TensorType:
        if (to is None) == (self.exponent is None):
            raise ShapeError(
                "SB103",
                "power needs a fixed `exponent`, or a value to raise `to`",
                "write `power: {exponent: 2}`, say",
            )
        return (
            require_floats(self.name, x)
            if to is None
            else broadcast_types((require_floats(self.name, x), require_floats(self.name, to)))
        )


@register_op("math")
class Clip(MathOp):
    """x, but not below `min` nor above `max`; outside no gradient passes."""

    min: float | None = attribute_field(Real(), "the least that comes out; no limit if not given", None)
    max: float | None = attribute_field(Real(), "the most that comes out; no limit if not given", None)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.min is None and self.max is None:
            raise ShapeError("SB103", "clip needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ShapeError("SB304", f"clip: min {self.min} is above max {self.max}")
        return x

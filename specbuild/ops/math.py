"""Arithmetic on one value, number by number."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import Real
from specbuild.ops.base import Op, Takes, attr, floats, op
from specbuild.ops.merge import met
from specbuild.ops.types import ShapeError, Tensor


class Math(Op):
    """A function of each number by itself."""

    light = True


class FloatMath(Math):
    """A function of each number by itself that only floats have."""

    def infer(self, x: Tensor) -> Tensor:
        return floats(self.name, x)


@op("math")
class Neg(Math):
    """-x."""


@op("math")
class Abs(Math):
    """|x|."""


@op("math")
class Sign(Math):
    """-1, 0 or 1, as x is negative, zero or positive; no gradient passes."""


@op("math")
class Square(Math):
    """x x."""


@op("math")
class Sqrt(FloatMath):
    """The square root of x, which may not be negative."""


@op("math")
class Rsqrt(FloatMath):
    """1 over the square root of x, which must be positive."""


@op("math")
class Reciprocal(FloatMath):
    """1 / x."""


@op("math")
class Exp(FloatMath):
    """e to the power of x."""


@op("math")
class Log(FloatMath):
    """The natural logarithm of x, which must be positive."""


@op("math")
class Sin(FloatMath):
    """The sine of x, in radians."""


@op("math")
class Cos(FloatMath):
    """The cosine of x, in radians."""


@op("math")
class Floor(FloatMath):
    """The largest whole number not above x; no gradient passes."""


@op("math")
class StopGradient(Math):
    """x, held constant in training: no gradient passes."""


@op("math")
class Scale(FloatMath):
    """by x + plus, with fixed numbers: 1 - x is `scale: {by: -1, plus: 1}`."""

    by: float = attr(Real(), "what each number is multiplied by", 1.0)
    plus: float = attr(Real(), "what is then added", 0.0)


@op("math")
class Power(Math):
    """x to a power: a fixed one, or one that is itself a value. A power like 0.5 needs x > 0."""

    takes = (Takes("x", "what is raised"), Takes("to", "the power, met by axis name", optional=True))
    exponent: float | None = attr(Real(), "the power, where it is fixed", None)

    def infer(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        if (to is None) == (self.exponent is None):
            raise ShapeError(
                "SB103",
                "power needs a fixed `exponent`, or a value to raise `to`",
                "write `power: {exponent: 2}`, say",
            )
        return floats(self.name, x) if to is None else met((floats(self.name, x), floats(self.name, to)))


@op("math")
class Clip(Math):
    """x, but not below `min` nor above `max`; outside no gradient passes."""

    min: float | None = attr(Real(), "the least that comes out; no limit if not given", None)
    max: float | None = attr(Real(), "the most that comes out; no limit if not given", None)

    def infer(self, x: Tensor) -> Tensor:
        if self.min is None and self.max is None:
            raise ShapeError("SB103", "clip needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ShapeError("SB304", f"clip: min {self.min} is above max {self.max}")
        return x

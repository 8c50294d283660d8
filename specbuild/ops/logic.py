"""Comparisons and what follows from them: masks, and values chosen by a mask."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import Choice, Real
from specbuild.ops.base import Op, Takes, attr, op
from specbuild.ops.merge import SEVERAL, met
from specbuild.ops.types import ShapeError, Tensor

TESTS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")


def mask(name: str, x: Tensor) -> Tensor:
    """The same type, if it is true or false; raises ShapeError."""
    if x.dtype != "bool":
        raise ShapeError(
            "SB305", f"{name} needs what is true or false, here is {x}", "make it with `compare`"
        )
    return x


@op("logic")
class Compare(Op):
    """Whether x passes a test against a fixed value, or against another that it meets by axis name."""

    light = True
    takes = (Takes("x", "what is compared"), Takes("other", "what it is compared with", optional=True))
    test: str = attr(Choice(TESTS), "which relation must hold")
    value: float | None = attr(Real(), "what it is compared with, where that is fixed", None)

    def infer(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        if (other is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "compare needs a fixed `value`, or an `other` value",
                "write `compare: {test: greater, value: 0}`, say",
            )
        if other is None:
            return x.typed("bool")
        if x.dtype != other.dtype:
            raise ShapeError("SB305", f"compare needs values of one type, here are {x} and {other}")
        return met((x, other)).typed("bool")


@op("logic")
class Where(Op):
    """One value where the condition holds, else another or a fixed one; all meet by axis name."""

    light = True
    takes = (
        Takes("then", "what stands where the condition holds"),
        Takes("condition", "true or false at each place"),
        Takes("otherwise", "what stands where it does not hold", optional=True),
    )
    value: float | None = attr(Real(), "what stands where it does not hold, where that is fixed", None)

    def infer(self, then: Tensor, condition: Tensor, otherwise: Tensor | None = None) -> Tensor:
        if (otherwise is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "where needs a value `otherwise`, or a fixed `value`",
                "write `where: {condition: mask, value: 0}`, say",
            )
        if otherwise is not None and then.dtype != otherwise.dtype:
            raise ShapeError("SB305", f"where needs values of one type, here are {then} and {otherwise}")
        mask(self.name, condition)
        return met((then, condition) if otherwise is None else (then, condition, otherwise)).typed(then.dtype)


@op("logic")
class LogicalNot(Op):
    """True where x is false."""

    light = True

    def infer(self, x: Tensor) -> Tensor:
        return mask(self.name, x)


class Logical(Op):
    """Masks that meet by axis name."""

    takes = SEVERAL
    light = True

    def infer(self, *xs: Tensor) -> Tensor:
        if len(xs) < 2:
            raise ShapeError("SB401", f"{self.name} needs two values or more")
        return met(tuple(mask(self.name, x) for x in xs))


@op("logic")
class LogicalAnd(Logical):
    """True where all are."""


@op("logic")
class LogicalOr(Logical):
    """True where any is."""

"""Comparisons and what follows from them: masks, and values chosen by a mask."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import Choice, Real
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op
from specbuild.ops.merge import VARIADIC_INPUTS, broadcast_types
from specbuild.ops.types import ShapeError, TensorType

COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")


def require_mask(name: str, x: TensorType) -> TensorType:
    """The same type, if it is true or false; raises ShapeError."""
    if x.dtype != "bool":
        raise ShapeError(
            "SB305", f"{name} needs what is true or false, here is {x}", "make it with `compare`"
        )
    return x


@register_op("logic")
class Compare(Op):
    """Whether x passes a test against a fixed value, or against another that it meets by axis name."""

    can_inline = True
    input_specs = (
        InputSpec("x", "what is compared"),
        InputSpec("other", "what it is compared with", optional=True),
    )
    test: str = attribute_field(Choice(COMPARISONS), "which relation must hold")
    value: float | None = attribute_field(Real(), "what it is compared with, where that is fixed", None)

    def infer_type(self, x: TensorType, other: TensorType | None = None) -> TensorType:
        if (other is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "compare needs a fixed `value`, or an `other` value",
                "write `compare: {test: greater, value: 0}`, say",
            )
        if other is None:
            return x.with_dtype("bool")
        if x.dtype != other.dtype:
            raise ShapeError("SB305", f"compare needs values of one type, here are {x} and {other}")
        return broadcast_types((x, other)).with_dtype("bool")


@register_op("logic")
class Where(Op):
    """One value where the condition holds, else another or a fixed one; all meet by axis name."""

    can_inline = True
    input_specs = (
        InputSpec("then", "what stands where the condition holds"),
        InputSpec("condition", "true or false at each place"),
        InputSpec("otherwise", "what stands where it does not hold", optional=True),
    )
    value: float | None = attribute_field(
        Real(), "what stands where it does not hold, where that is fixed", None
    )

    def infer_type(
        self, then: TensorType, condition: TensorType, otherwise: TensorType | None = None
    ) -> TensorType:
        if (otherwise is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "where needs a value `otherwise`, or a fixed `value`",
                "write `where: {condition: mask, value: 0}`, say",
            )
        if otherwise is not None and then.dtype != otherwise.dtype:
            raise ShapeError("SB305", f"where needs values of one type, here are {then} and {otherwise}")
        require_mask(self.name, condition)
        return broadcast_types(
            (then, condition) if otherwise is None else (then, condition, otherwise)
        ).with_dtype(then.dtype)


@register_op("logic")
class LogicalNot(Op):
    """True where x is false."""

    can_inline = True

    def infer_type(self, x: TensorType) -> TensorType:
        return require_mask(self.name, x)


class VariadicLogical(Op):
    """Masks that meet by axis name."""

    input_specs = VARIADIC_INPUTS
    can_inline = True

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2:
            raise ShapeError("SB401", f"{self.name} needs two values or more")
        return broadcast_types(tuple(require_mask(self.name, x) for x in xs))


@register_op("logic")
class LogicalAnd(VariadicLogical):
    """True where all are."""


@register_op("logic")
class LogicalOr(VariadicLogical):
    """True where any is."""

"""Comparisons, masks, and values selected by a mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuild.ops.attribute_kinds import Choice, Real
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_whole
from specbuild.ops.merge import VARIADIC_INPUTS, broadcast_types
from specbuild.ops.types import ShapeError, TensorType, share_axes

COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")


def require_mask(name: str, x: TensorType) -> TensorType:
    """Return the type if its dtype is bool; raises ShapeError SB305."""
    if x.dtype != "bool":
        raise ShapeError(
            "SB305", f"{name} needs a mask of true and false; got {x}", "use `compare` to make one"
        )
    return x


@register_op("logic")
class Compare(Op):
    """Compare x with a fixed value, or with another value, aligned by axis name."""

    can_inline = True
    input_specs = (
        InputSpec("x", "the value to compare"),
        InputSpec("other", "the value to compare with", optional=True),
    )
    test: str = attribute_field(Choice(COMPARISONS), "the relation that must hold")
    value: float | None = attribute_field(Real(), "the fixed number to compare with", None, role="detail")

    def infer_type(self, x: TensorType, other: TensorType | None = None) -> TensorType:
        if (other is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "compare needs either `value`, a fixed number, or `other`, another value",
                "for example `compare: {test: greater, value: 0}`",
            )
        if other is None:
            return x.with_dtype("bool")
        if x.dtype != other.dtype:
            raise ShapeError("SB305", f"compare needs values of the same dtype; got {x} and {other}")
        return broadcast_types((x, other)).with_dtype("bool")

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)


@register_op("logic")
class Where(Op):
    """Select `then` where the condition is true, else `otherwise` or a fixed number. Aligned by axis name."""

    can_inline = True
    input_specs = (
        InputSpec("then", "the result where the condition is true"),
        InputSpec("condition", "true or false at each position"),
        InputSpec("otherwise", "the result where the condition is false", optional=True),
    )
    value: float | None = attribute_field(
        Real(can_be_infinite=True),
        "the result where the condition is false, as a fixed number, which can be infinite",
        None,
        role="detail",
    )

    def infer_type(
        self, then: TensorType, condition: TensorType, otherwise: TensorType | None = None
    ) -> TensorType:
        if (otherwise is None) == (self.value is None):
            raise ShapeError(
                "SB103",
                "where needs either `otherwise`, another value, or `value`, a fixed number",
                "for example `where: {condition: mask, value: 0}`",
            )
        if otherwise is not None and then.dtype != otherwise.dtype:
            raise ShapeError("SB305", f"where needs values of the same dtype; got {then} and {otherwise}")
        require_mask(self.name, condition)
        require_whole(self.name, then, value=self.value)
        return broadcast_types(
            (then, condition) if otherwise is None else (then, condition, otherwise)
        ).with_dtype(then.dtype)

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)


@register_op("logic")
class LogicalNot(Op):
    """True where x is false."""

    can_inline = True

    def infer_type(self, x: TensorType) -> TensorType:
        return require_mask(self.name, x)


class VariadicLogical(Op):
    """A logical operation on two or more masks, aligned by axis name."""

    input_specs = VARIADIC_INPUTS
    can_inline = True

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2:
            raise ShapeError("SB401", f"{self.name} needs two or more values")
        return broadcast_types(tuple(require_mask(self.name, x) for x in xs))

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)


@register_op("logic")
class LogicalAnd(VariadicLogical):
    """True where all masks are true."""


@register_op("logic")
class LogicalOr(VariadicLogical):
    """True where any mask is true."""

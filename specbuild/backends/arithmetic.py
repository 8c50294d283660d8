"""What Python's own operators write, alike in every framework."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from specbuild.backends.base import is_fixed
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.tree import Expr, Infix, Literal, Prefix
from specbuild.expressions import expression_of
from specbuild.ops.base import Op
from specbuild.ops.math import Neg, Power, Reciprocal, Scale
from specbuild.ops.merge import Add, Average, Divide, Multiply, Subtract


def chain_operator(sign: str) -> Callable[..., Expr]:
    """`a + b + c`."""
    return lambda op, *xs: reduce(lambda a, b: Infix(sign, a, b), xs)


def emit_average(op: Average, *xs: Expr) -> Expr:
    return Infix("/", reduce(lambda a, b: Infix("+", a, b), xs), Literal(len(xs)))


def emit_power(op: Power, x: Expr, to: Expr | None = None) -> Expr:
    return Infix("**", x, literal_expression(op.exponent) if to is None else to)


def emit_scale(op: Scale, x: Expr) -> Expr:
    """`x * by + plus`, without what changes nothing."""
    if is_fixed(op.plus, 0):
        return (
            x
            if is_fixed(op.by, 1)
            else Prefix("-", x)
            if is_fixed(op.by, -1)
            else Infix("*", x, literal_expression(op.by))
        )
    if is_fixed(op.by, -1):
        return Infix("-", literal_expression(op.plus), x)
    return emit_shift(x if is_fixed(op.by, 1) else Infix("*", x, literal_expression(op.by)), op.plus)


def emit_shift(x: Expr, plus: Any) -> Expr:
    """`x + plus`, or `x - 3` for a value of -3."""
    if expression_of(plus) is None and plus < 0:
        return Infix("-", x, Literal(-plus))
    return Infix("+", x, literal_expression(plus))


# op: what writes it, from the op and its operands
ARITHMETIC_WRITERS: dict[type[Op], Callable[..., Expr]] = {
    Neg: lambda op, x: Prefix("-", x),
    Reciprocal: lambda op, x: Infix("/", Literal(1), x),
    Scale: emit_scale,
    Power: emit_power,
    Add: chain_operator("+"),
    Subtract: chain_operator("-"),
    Multiply: chain_operator("*"),
    Divide: chain_operator("/"),
    Average: emit_average,
}

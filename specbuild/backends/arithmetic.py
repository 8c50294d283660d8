"""Arithmetic with Python operators, the same in every framework."""

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


def chain_operator(operator: str) -> Callable[..., Expr]:
    """Return a writer of `a + b + c` with this operator."""
    return lambda op, *xs: reduce(lambda a, b: Infix(operator, a, b), xs)


def emit_average(op: Average, *xs: Expr) -> Expr:
    return Infix("/", reduce(lambda a, b: Infix("+", a, b), xs), Literal(len(xs)))


def emit_power(op: Power, x: Expr, exponent: Expr | None = None) -> Expr:
    return Infix("**", x, literal_expression(op.exponent) if exponent is None else exponent)


def emit_scale(op: Scale, x: Expr) -> Expr:
    """Return `x * by + plus`; a factor of 1 and a summand of 0 are left out."""
    if is_fixed(op.by, -1):
        return Prefix("-", x) if is_fixed(op.plus, 0) else Infix("-", literal_expression(op.plus), x)
    product = x if is_fixed(op.by, 1) else Infix("*", x, literal_expression(op.by))
    return product if is_fixed(op.plus, 0) else emit_shift(product, op.plus)


def emit_shift(x: Expr, summand: Any) -> Expr:
    """Return `x + summand`, or `x - 3` for a summand of -3."""
    if expression_of(summand) is None and summand < 0:
        return Infix("-", x, Literal(-summand))
    return Infix("+", x, literal_expression(summand))


# op -> its writer, a function of the op and its operands
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

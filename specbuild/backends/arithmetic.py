"""What Python's own operators write, alike in every framework."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from specbuild.backends.base import fixed
from specbuild.codegen.constructions import literal
from specbuild.codegen.tree import Expr, Infix, Literal, Prefix
from specbuild.expressions import words
from specbuild.ops.base import Op
from specbuild.ops.math import Neg, Power, Reciprocal, Scale
from specbuild.ops.merge import Add, Average, Divide, Multiply, Subtract


def chained(sign: str) -> Callable[..., Expr]:
    """`a + b + c`."""
    return lambda op, *xs: reduce(lambda a, b: Infix(sign, a, b), xs)


def averaged(op: Average, *xs: Expr) -> Expr:
    return Infix("/", reduce(lambda a, b: Infix("+", a, b), xs), Literal(len(xs)))


def powered(op: Power, x: Expr, to: Expr | None = None) -> Expr:
    return Infix("**", x, literal(op.exponent) if to is None else to)


def scaled(op: Scale, x: Expr) -> Expr:
    """`x * by + plus`, without what changes nothing."""
    if fixed(op.plus, 0):
        return x if fixed(op.by, 1) else Prefix("-", x) if fixed(op.by, -1) else Infix("*", x, literal(op.by))
    if fixed(op.by, -1):
        return Infix("-", literal(op.plus), x)
    return shifted(x if fixed(op.by, 1) else Infix("*", x, literal(op.by)), op.plus)


def shifted(x: Expr, plus: Any) -> Expr:
    """`x + plus`, or `x - 3` for a value of -3."""
    if words(plus) is None and plus < 0:
        return Infix("-", x, Literal(-plus))
    return Infix("+", x, literal(plus))


# op: what writes it, from the op and its operands
OPERATORS: dict[type[Op], Callable[..., Expr]] = {
    Neg: lambda op, x: Prefix("-", x),
    Reciprocal: lambda op, x: Infix("/", Literal(1), x),
    Scale: scaled,
    Power: powered,
    Add: chained("+"),
    Subtract: chained("-"),
    Multiply: chained("*"),
    Divide: chained("/"),
    Average: averaged,
}

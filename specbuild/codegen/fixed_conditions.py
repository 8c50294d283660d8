"""Decides conditions in code that compare two plain numbers, after a number has replaced a size."""

from __future__ import annotations

import operator

from specbuild.codegen.tree import Conditional, Expr, Infix, Literal

COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def decide_condition(expr: Expr) -> Expr:
    """Return the branch that code takes, if its condition compares two numbers; else the code itself."""
    if not isinstance(expr, Conditional):
        return expr
    match expr.test:
        case Infix(word, Literal(int() | float() as left), Literal(int() | float() as right)) if (
            word in COMPARISONS
        ):
            return expr.then if COMPARISONS[word](left, right) else expr.otherwise
    return expr

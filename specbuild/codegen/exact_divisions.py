"""Divisions without a remainder, since the constructor refuses one: `channels // heads * heads` is `channels`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeAlias

from specbuild.codegen.class_spec import ClassSpec, Guard, map_step_code
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.printer import print_expression
from specbuild.codegen.requirements import join_codes, split_product
from specbuild.codegen.tree import Expr, Infix
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import ExpressionError, parse_expression
from specbuild.expressions.simplify import simplify_whole_number

Divisions: TypeAlias = frozenset[tuple[Expr, Expr]]  # dividend and divisor


def find_exact_divisions(guards: Iterable[Guard]) -> Divisions:
    """Return the divisions of which these guards refuse a remainder."""
    conditions = (guard.condition for guard in guards)
    return frozenset((c.left, c.right) for c in conditions if isinstance(c, Infix) and c.operator == "%")


def undo_divisions(class_spec: ClassSpec) -> ClassSpec:
    """Return the class without products that undo a division which its guards make exact."""
    exact = find_exact_divisions(class_spec.guards)
    if not exact:
        return class_spec
    shorten = partial(shorten_products, exact=exact)
    return map_step_code(class_spec, shorten)


def shorten_products(expr: Expr, exact: Divisions) -> Expr:
    """Return an expression without a division and the product that undoes it."""
    shorter = map_children(expr, partial(shorten_products, exact=exact))
    if isinstance(shorter, Infix) and shorter.operator == "*":
        shorter = cancel_division(split_product(shorter), exact) or shorter
    is_number = isinstance(shorter, Infix) and shorter.operator in ("+", "-", "*")
    return simplify_code(shorter) if is_number and shorter != expr else shorter


def cancel_division(factors: list[Expr], exact: Divisions) -> Expr | None:
    """Return a product whose factors are a division and its divisor, without both; None if there are none."""
    for i, factor in enumerate(factors):
        if isinstance(factor, Infix) and factor.operator == "//" and (factor.left, factor.right) in exact:
            before, after = factors[:i], factors[i + 1 :]
            for rest in (before, after):
                if factor.right in rest:
                    rest.remove(factor.right)
                    return join_codes("*", [*before, factor.left, *after])
    return None


def simplify_code(code: Expr) -> Expr:
    """Return a sum or a product of whole numbers in a shorter form, such as `3 * n` for `n + 2 * n`."""
    try:
        simpler = simplify_whole_number(parse_expression(print_expression(code)))
    except ExpressionError:  # it reads a variable of the code
        return code
    return code if simpler is None else expression_code(simpler)

"""Removes numbers without an effect: `x * 1`, `x + 0` and `n // 1`. They appear when a number replaces an argument."""

from __future__ import annotations

from collections.abc import Collection

from specbuild.codegen.class_spec import ClassSpec, map_step_code
from specbuild.codegen.tree import Expr, Infix, Literal, Name, ValuePlaceholder
from specbuild.codegen.tree_walk import map_children, walk_expression

COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!=", "in", "not in", "and", "or", "&", "|"})


def drop_neutral_numbers(class_spec: ClassSpec) -> ClassSpec:
    """Return the class without such numbers."""
    integers = {n for n, p in class_spec.params.items() if p.annotation == "int"}

    def drop_in_parts(expr: Expr) -> Expr:
        return drop_in_code(map_children(expr, drop_in_parts), integers)

    return map_step_code(class_spec, drop_in_parts)


def drop_in_code(expr: Expr, integers: Collection[str]) -> Expr:
    """Return code without such a number if it is in the outermost operation; `integers` has the names of whole numbers."""
    match expr:
        case Infix("*" | "+" as operator, left, right) as sum_or_product:
            neutral = 1 if operator == "*" else 0
            for number, other in ((right, left), (left, right)):
                if is_integer(number, neutral) and is_number_code(other):
                    return other
            return sum_or_product
        case Infix("-", left, right) if is_integer(right, 0) and is_number_code(left):
            return left
        case Infix("//", Name(name) as left, right) if is_integer(right, 1) and name in integers:
            return left
        case other:
            return other


def is_integer(code: Expr, number: int) -> bool:
    return isinstance(code, Literal) and type(code.value) is int and code.value == number


def is_number_code(code: Expr) -> bool:
    """Return whether code gives numbers, or a table of them: `(a < b) * 1` makes numbers of truth values."""
    parts = list(walk_expression(code))
    is_tensor = any(isinstance(part, ValuePlaceholder) for part in parts)
    return not is_tensor and not any(
        isinstance(part, Infix) and part.operator in COMPARISONS for part in parts
    )

"""Operator precedence, and which operands need parentheses because of it."""

from __future__ import annotations

from typing import TypeAlias

from specbuild.codegen.tree import Attribute, Call, Conditional, Expr, Index, Infix, Literal, Prefix

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not")
CONDITIONAL, OR, AND, NOT, COMPARISON, OR_BITS, UNARY, POWER, ATOM = 1, 2, 3, 4, 5, 6, 10, 11, 12
INFIX = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(_COMPARISONS, COMPARISON),
    "|": OR_BITS,
    "&": 7,
    **dict.fromkeys("+-", 8),
    **dict.fromkeys(("*", "/", "//", "%", "@"), 9),
    "**": POWER,
}
PREFIX = {"not": NOT, "-": UNARY, "~": UNARY}

Access: TypeAlias = Call | Index | Attribute


def operator_precedence(expr: Expr) -> int:
    """Return the precedence of an expression's outermost operator.

    Raises ValueError for an unknown operator.
    """
    match expr:
        case Infix(operator) if operator in INFIX:
            return INFIX[operator]
        case Prefix(operator) if operator in PREFIX:
            return PREFIX[operator]
        case Infix(operator) | Prefix(operator):
            raise ValueError(f"not an operator: {operator!r}")
        case Conditional():
            return CONDITIONAL
        case Literal(int() | float() as value) if value < 0 and value != float("-inf"):
            return UNARY
    return ATOM


def line_break_precedence(expr: Infix) -> int:
    """Return the precedence by which operators break their lines together.

    That of `or` counts as that of `and`.
    """
    return max(operator_precedence(expr), AND)


def needs_side_parentheses(expr: Infix) -> tuple[bool, bool]:
    """Return whether the left and the right operand need parentheses."""
    own = operator_precedence(expr)
    if own == POWER:
        return operator_precedence(expr.left) <= POWER, operator_precedence(expr.right) < UNARY
    left_least = own + 1 if own == COMPARISON else own  # a chain of comparisons has another meaning
    return operator_precedence(expr.left) < left_least, operator_precedence(expr.right) <= own


def needs_operand_parentheses(expr: Prefix) -> bool:
    """Return whether the operand of a prefix operator needs parentheses.

    The formatter adds them to every power.
    """
    is_power = isinstance(expr.operand, Infix) and expr.operand.operator == "**"
    return is_power or operator_precedence(expr.operand) < operator_precedence(expr)


def inner_expression(expr: Access) -> Expr:
    """Return the expression that is called or indexed, or whose attribute is read."""
    return expr.function if isinstance(expr, Call) else expr.of


def needs_inner_parentheses(expr: Access) -> bool:
    """Return whether the inner expression needs parentheses: if it has an operator, or is a number before a dot."""
    part = inner_expression(expr)
    if isinstance(expr, Attribute) and isinstance(part, Literal) and not isinstance(part.value, bool):
        return isinstance(part.value, int | float)
    return operator_precedence(part) < ATOM


def is_fluent(expr: Expr) -> bool:
    """Return whether a chain of calls may break before its dots: at least two of them must follow a bracket."""
    dots = 0
    while isinstance(expr, Call | Index | Attribute):
        part, wrapped = inner_expression(expr), needs_inner_parentheses(expr)
        dots += isinstance(expr, Attribute) and (wrapped or isinstance(part, Call | Index))
        if wrapped:
            break
        expr = part
    return dots >= 2

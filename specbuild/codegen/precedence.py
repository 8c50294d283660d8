"""How tightly operators bind, and which operands therefore stand in parentheses."""

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


def precedence(expr: Expr) -> int:
    """How tightly the outermost operator of an expression binds; ValueError for an unknown operator."""
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


def splits_with(expr: Infix) -> int:
    """Operators of one kind end their lines together; `and` and `or` are of one."""
    return max(precedence(expr), AND)


def wraps_sides(expr: Infix) -> tuple[bool, bool]:
    """Whether the left and the right operand need parentheses."""
    own = precedence(expr)
    if own == POWER:
        return precedence(expr.left) <= POWER, precedence(expr.right) < UNARY
    left_least = own + 1 if own == COMPARISON else own  # a chain of comparisons would mean something else
    return precedence(expr.left) < left_least, precedence(expr.right) <= own


def wraps_operand(expr: Prefix) -> bool:
    """Whether the operand of a sign needs parentheses; the formatter gives them to every power."""
    is_power = isinstance(expr.operand, Infix) and expr.operand.operator == "**"
    return is_power or precedence(expr.operand) < precedence(expr)


def inner(expr: Access) -> Expr:
    """What is called, indexed or looked into."""
    return expr.function if isinstance(expr, Call) else expr.of


def wraps_inner(expr: Access) -> bool:
    """Whether `inner` needs parentheses: if it has an operator, or is a number before a dot."""
    part = inner(expr)
    if isinstance(expr, Attribute) and isinstance(part, Literal) and not isinstance(part.value, bool):
        return isinstance(part.value, int | float)
    return precedence(part) < ATOM


def is_fluent(expr: Expr) -> bool:
    """Whether the dots of a chain of calls may begin lines: at least two of them follow a bracket."""
    dots = 0
    while isinstance(expr, Call | Index | Attribute):
        part, wrapped = inner(expr), wraps_inner(expr)
        dots += isinstance(expr, Attribute) and (wrapped or isinstance(part, Call | Index))
        if wrapped:
            break
        expr = part
    return dots >= 2

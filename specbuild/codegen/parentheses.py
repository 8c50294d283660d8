"""Decides when an expression that is too long for its line gets parentheses, as the formatter does."""

from __future__ import annotations

from enum import Enum
from math import isfinite

from msgspec import Struct

from specbuild.codegen.precedence import (
    ATOM,
    CONDITIONAL,
    UNARY,
    inner_expression,
    is_fluent,
    line_break_precedence,
    needs_inner_parentheses,
    needs_operand_parentheses,
    needs_side_parentheses,
)
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Conditional,
    DictOf,
    Expr,
    Generator,
    Index,
    Infix,
    ListComprehension,
    ListOf,
    Literal,
    Name,
    Prefix,
    TupleOf,
)


class ParenthesesRule(Enum):
    """When an expression that does not fit on its line gets parentheses, and why."""

    NEVER = "it can break inside its own brackets"
    IF_BROKEN = "lines may break at its operators"
    IF_THEY_HELP = "it is a name, or a chain of accesses that begins with one"


def choose_parentheses(expr: Expr) -> ParenthesesRule:
    """Return the formatter's rule for the whole expression of a statement."""
    match expr:
        case Infix() | Conditional():
            return ParenthesesRule.IF_BROKEN
        case Name() | Literal():
            return ParenthesesRule.IF_THEY_HELP
        case Prefix(_, operand):
            return ParenthesesRule.NEVER if needs_operand_parentheses(expr) else choose_parentheses(operand)
        case Call() | Index() | Attribute():
            if is_fluent(expr):
                return ParenthesesRule.IF_BROKEN
            return (
                ParenthesesRule.NEVER
                if needs_inner_parentheses(expr)
                else choose_parentheses(inner_expression(expr))
            )
    return ParenthesesRule.NEVER


def can_omit_parentheses(expr: Expr) -> bool:
    """Return whether a long expression may break inside its own brackets instead of at its operators."""
    shape = _Shape()
    shape.visit_expression(expr)
    if not shape.has_brackets or shape.count > 1:
        return False
    return (
        shape.loosest in (None, _DOT) or _has_filled_brackets(shape.first) or _has_filled_brackets(shape.last)
    )


_DOT = ATOM  # a dot after a bracket counts as the operator that binds tightest


class _OuterOperand(Struct, frozen=True):
    """The first or last operand of an expression; `expr` is None if the expression begins with a sign."""

    expr: Expr | None = None
    wrapped: bool = False


def _has_filled_brackets(edge: _OuterOperand | None) -> bool:
    """Return whether an operand has non-empty brackets; those of an index do not count."""
    if edge is None or edge.expr is None or isinstance(edge.expr, Index):
        return False
    return edge.wrapped or _ending_brackets(edge.expr) is True


def _ending_brackets(expr: Expr) -> bool | None:
    """Return whether the brackets at the end of an expression are non-empty; None if it has none there."""
    match expr:
        case Call(_, args, keywords):
            return bool(args or keywords)
        case ListOf(items) | TupleOf(items) | DictOf(items):
            return bool(items)
        case Index() | ListComprehension() | Generator():
            return True
    return None


_INFINITY = Call(Name("float"), (Literal("inf"),))


class _Shape:
    """What the formatter sees outside brackets: the loosest operators, their number, the outer operands."""

    def __init__(self) -> None:
        self.loosest: int | None = None
        self.count = 0
        self.has_brackets = False
        self.first: _OuterOperand | None = None
        self.last: _OuterOperand | None = None

    def count_operator(self, order: int, count: int = 1) -> None:
        if self.loosest is None or order < self.loosest:
            self.loosest, self.count = order, count
        elif order == self.loosest:
            self.count += count

    def visit_operand(self, expr: Expr, wrapped: bool) -> None:
        self.last = _OuterOperand(expr, wrapped)
        if wrapped:
            self.has_brackets = True
        else:
            self.visit_expression(expr)
        self.first = self.first or _OuterOperand(expr, wrapped)

    def visit_expression(self, expr: Expr) -> None:
        match expr:
            case DictOf() | ListOf() | TupleOf() | ListComprehension() | Generator():
                self.has_brackets = True
            case Literal(float() as value) if not isfinite(value):
                self.visit_expression(_INFINITY)
            case Infix(_, left, right):
                wraps_left, wraps_right = needs_side_parentheses(expr)
                self.count_operator(line_break_precedence(expr))
                self.visit_operand(left, wraps_left)
                self.visit_operand(right, wraps_right)
            case Conditional(test, then, otherwise):
                self.count_operator(CONDITIONAL, 2)
                self.visit_operand(then, isinstance(then, Conditional))
                self.visit_operand(test, isinstance(test, Conditional))
                self.visit_operand(otherwise, False)
            case Prefix(operator, operand):
                if operator == "~":
                    self.count_operator(UNARY)
                self.first = self.first or _OuterOperand()
                self.visit_operand(operand, needs_operand_parentheses(expr))
            case Call() | Index() | Attribute():
                self.visit_operand(inner_expression(expr), needs_inner_parentheses(expr))
                if not isinstance(expr, Attribute):
                    self.has_brackets = True
                elif needs_inner_parentheses(expr) or _ending_brackets(expr.of) is not None:
                    self.count_operator(_DOT)
                self.last = _OuterOperand(expr)

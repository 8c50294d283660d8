"""When a statement's whole expression gets parentheses, because it is too long for its line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite

from specbuild.codegen.precedence import (
    ATOM,
    CONDITIONAL,
    UNARY,
    inner,
    is_fluent,
    splits_with,
    wraps_inner,
    wraps_operand,
    wraps_sides,
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


class Parentheses(Enum):
    """When an expression that does not fit on its line is put in parentheses."""

    NEVER = "it has brackets of its own"
    IF_BROKEN = "its operators end lines"
    IF_THEY_HELP = "it is a name, or a chain that begins with one"


def parentheses(expr: Expr) -> Parentheses:
    """The formatter's rule for a statement's whole expression."""
    match expr:
        case Infix() | Conditional():
            return Parentheses.IF_BROKEN
        case Name() | Literal():
            return Parentheses.IF_THEY_HELP
        case Prefix(_, operand):
            return Parentheses.NEVER if wraps_operand(expr) else parentheses(operand)
        case Call() | Index() | Attribute():
            if is_fluent(expr):
                return Parentheses.IF_BROKEN
            return Parentheses.NEVER if wraps_inner(expr) else parentheses(inner(expr))
    return Parentheses.NEVER


def can_omit_parentheses(expr: Expr) -> bool:
    """Whether a long expression may break inside of its own brackets instead of at its operators."""
    shape = _Shape()
    shape.look_into(expr)
    if not shape.has_brackets or shape.count > 1:
        return False
    return shape.loosest in (None, _DOT) or _opens(shape.first) or _opens(shape.last)


_DOT = ATOM  # a dot that follows a bracket counts as the tightest operator


@dataclass(frozen=True)
class _Edge:
    """The first or the last operand of an expression; no operand if a sign comes first."""

    expr: Expr | None = None
    wrapped: bool = False


def _opens(edge: _Edge | None) -> bool:
    """Whether there is something in an operand's brackets; those of an index do not count."""
    if edge is None or edge.expr is None or isinstance(edge.expr, Index):
        return False
    return edge.wrapped or _brackets(edge.expr) is True


def _brackets(expr: Expr) -> bool | None:
    """Whether there is something in the brackets that an expression ends with; None if it has none."""
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
    """What counts outside of brackets: the loosest operators, how many they are, the outermost operands."""

    def __init__(self) -> None:
        self.loosest: int | None = None
        self.count = 0
        self.has_brackets = False
        self.first: _Edge | None = None
        self.last: _Edge | None = None

    def operator(self, order: int, count: int = 1) -> None:
        if self.loosest is None or order < self.loosest:
            self.loosest, self.count = order, count
        elif order == self.loosest:
            self.count += count

    def look_at(self, expr: Expr, wrapped: bool) -> None:
        self.last = _Edge(expr, wrapped)
        if wrapped:
            self.has_brackets = True
        else:
            self.look_into(expr)
        self.first = self.first or _Edge(expr, wrapped)

    def look_into(self, expr: Expr) -> None:
        match expr:
            case DictOf() | ListOf() | TupleOf() | ListComprehension() | Generator():
                self.has_brackets = True
            case Literal(float() as value) if not isfinite(value):
                self.look_into(_INFINITY)
            case Infix(_, left, right):
                wraps_left, wraps_right = wraps_sides(expr)
                self.operator(splits_with(expr))
                self.look_at(left, wraps_left)
                self.look_at(right, wraps_right)
            case Conditional(test, then, otherwise):
                self.operator(CONDITIONAL, 2)
                self.look_at(then, isinstance(then, Conditional))
                self.look_at(test, isinstance(test, Conditional))
                self.look_at(otherwise, False)
            case Prefix(operator, operand):
                if operator == "~":
                    self.operator(UNARY)
                self.first = self.first or _Edge()
                self.look_at(operand, wraps_operand(expr))
            case Call() | Index() | Attribute():
                self.look_at(inner(expr), wraps_inner(expr))
                if not isinstance(expr, Attribute):
                    self.has_brackets = True
                elif wraps_inner(expr) or _brackets(expr.of) is not None:
                    self.operator(_DOT)
                self.last = _Edge(expr)

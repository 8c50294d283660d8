"""Numbers that remember the expression they come from."""

from __future__ import annotations

from typing import TypeVar, cast

from specbuild.expressions.expression_tree import Expression, parse_expression

T = TypeVar("T")


class SymInt(int):
    """An int that remembers its expression. Arithmetic on it gives a plain int."""

    expression: Expression

    def __new__(cls, value: int, expression: Expression | str) -> SymInt:
        self = super().__new__(cls, value)
        self.expression = to_expression(expression)
        return self

    def __getnewargs__(self) -> tuple[int, Expression]:  # type: ignore[override]
        return int(self), self.expression

    def __repr__(self) -> str:
        return f"SymInt({int(self)}, {self.expression.text!r})"

    def __str__(self) -> str:
        return int.__repr__(self)


class SymFloat(float):
    """A float that remembers its expression. Arithmetic on it gives a plain float."""

    expression: Expression

    def __new__(cls, value: float, expression: Expression | str) -> SymFloat:
        self = super().__new__(cls, value)
        self.expression = to_expression(expression)
        return self

    def __getnewargs__(self) -> tuple[float, Expression]:  # type: ignore[override]
        return float(self), self.expression

    def __repr__(self) -> str:
        return f"SymFloat({float(self)}, {self.expression.text!r})"

    def __str__(self) -> str:
        return float.__repr__(self)


def to_expression(source: Expression | str) -> Expression:
    """Return an expression, parsed if it is given as text."""
    return parse_expression(source) if isinstance(source, str) else source


def symbolic(value: T, expression: Expression | str) -> T:
    """Return `value` with an expression. The items of a list get `expression[0]`, `expression[1]` ..."""
    if isinstance(value, (list, tuple)):
        whole = to_expression(expression)
        return cast(T, type(value)(symbolic(item, whole.item_at(i)) for i, item in enumerate(value)))
    return with_expression(value, expression)


def expression_of(value: object) -> Expression | None:
    """Return the expression of a number; None if it has none."""
    return value.expression if isinstance(value, (SymInt, SymFloat)) else None


def expression_text(value: object) -> str | None:
    """Return the text of the expression of a number; None if it has none."""
    return value.expression.text if isinstance(value, (SymInt, SymFloat)) else None


def concrete(value: T) -> T:
    """Return the same value without expressions. Lists are converted item by item."""
    if type(value) is int:  # the most frequent one
        return value
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(map(concrete, value)))
    if isinstance(value, SymInt):
        return cast(T, int(value))
    return cast(T, float(value)) if isinstance(value, SymFloat) else value


def with_expression(value: T, expression: Expression | str | None) -> T:
    """Return the same value with this expression; without one if `expression` is None.

    Only numbers can have one.
    """
    if expression is None:
        return concrete(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return cast(T, SymInt(value, expression))
    return cast(T, SymFloat(value, expression)) if isinstance(value, float) else value

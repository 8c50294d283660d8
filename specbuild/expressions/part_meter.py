"""Counts the parts of all expressions that are evaluated for one spec, so that their work has a limit, as that of steps has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.expression_tree import Expression

MAX_PARTS = 40_000  # names, numbers, operators and calls
PARTS_OF_NEW = 3  # a new expression is parsed and rewritten: as much work as this number of evaluations


class PartMeter:
    """The parts so far; an expression counts each time that it is evaluated."""

    def __init__(self) -> None:
        self.part_count = 0
        self.seen: set[str] = set()

    @property
    def is_spent(self) -> bool:
        return self.part_count > MAX_PARTS

    def count_parts(self, text: str, part_count: int) -> None:
        """Raise ExpressionError SB502 if there were too many."""
        factor = 1 if text in self.seen else PARTS_OF_NEW
        self.seen.add(text)
        self.add_parts(factor * part_count)

    def add_parts(self, part_count: int) -> None:
        self.part_count += part_count
        if self.is_spent:
            message = (
                f"the expressions of the model have more than {MAX_PARTS:,} parts; new ones count three times"
            )
            raise ExpressionError("SB502", message, "use shorter expressions, or smaller repeats")


_active: ContextVar[PartMeter | None] = ContextVar("active", default=None)


@contextmanager
def count_evaluations() -> Iterator[None]:
    """Count the parts of all expressions that are evaluated inside of the `with` statement."""
    token = _active.set(PartMeter())
    try:
        yield
    finally:
        _active.reset(token)


def count_evaluation(expression: Expression) -> None:
    """Count an expression that is evaluated now. Raises ExpressionError SB502 if there were too many."""
    meter = _active.get()
    if meter is not None:
        meter.count_parts(expression.text, expression.part_count)


def count_table(part_count: int) -> None:
    """Count the expression of a table: it is read and written as code each time. Raises ExpressionError SB502."""
    meter = _active.get()
    if meter is not None:
        meter.add_parts(PARTS_OF_NEW * part_count)

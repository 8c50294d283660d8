"""The search for an expression that has given values in several scopes: one for each instance of a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.evaluator import Env
from specbuild.expressions.expression_tree import Expression
from specbuild.expressions.symbolic_evaluation import evaluate_expression
from specbuild.expressions.symbolic_numbers import concrete


class CommonExpressions:
    """Evaluates expressions in several scopes, each expression once."""

    def __init__(self, scopes: Sequence[Env]):
        self.scopes = scopes
        self.columns: dict[Expression | str, list[Any] | None] = {}

    def column(self, expression: Expression | str) -> list[Any] | None:
        """Return the value of an expression in each scope; None if it has none in one of them."""
        if expression not in self.columns:
            try:
                values = [concrete(evaluate_expression(expression, scope)) for scope in self.scopes]
            except ExpressionError:
                values = None
            self.columns[expression] = values
        return self.columns[expression]

    def find(
        self,
        candidates: Iterable[Expression | str],
        values: Sequence[Any],
        members: Sequence[int] | None = None,
    ) -> Expression | str | None:
        """Return the first expression with these values, in the scopes `members`, by default in all."""
        numbers = range(len(self.scopes)) if members is None else members
        for expression in candidates:
            column = self.column(expression)
            if column is not None and [column[i] for i in numbers] == list(values):
                return expression
        return None

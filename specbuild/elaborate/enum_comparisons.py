"""Comparisons of a parameter with a value that it cannot have: `mode == "fsat"`, where its `enum` is [slow, fast]."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from specbuild.diagnostics.suggestions import suggest_name
from specbuild.expressions import Expression, ExpressionError
from specbuild.frontend.document import ParamDef


def refuse_impossible_values(expression: Expression, params: Mapping[str, ParamDef]) -> None:
    """Raise ExpressionError SB304 if an expression compares a parameter with a text that is not in its `enum`."""
    for name, value in list_comparisons(expression):
        choices = params[name].choices if name in params else ()
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            hint = suggest_name(value, choices, "its values are")
            raise ExpressionError("SB304", f"{name} is never {value!r}", hint)


def list_comparisons(expression: Expression) -> Iterator[tuple[str, str]]:
    """Yield each name that an expression compares with a text, and this text."""
    for part in ast.walk(expression.tree):
        if not isinstance(part, ast.Compare):
            continue
        operands = [part.left, *part.comparators]
        names = [operand.id for operand in operands if isinstance(operand, ast.Name)]
        lists = [x.elts if isinstance(x, ast.List | ast.Tuple) else [x] for x in operands]
        texts = [x.value for items in lists for x in items if isinstance(x, ast.Constant)]
        yield from ((name, text) for name in names for text in texts if isinstance(text, str))

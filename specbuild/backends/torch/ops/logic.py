"""Comparisons and masks in PyTorch."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import aligned
from specbuild.backends.base import inline
from specbuild.backends.torch.layout import backend, emits
from specbuild.codegen.constructions import literal
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Call, Infix, Name, Prefix
from specbuild.ops.logic import Compare, Logical, LogicalAnd, LogicalNot, LogicalOr, Where
from specbuild.ops.types import Tensor

COMPARISONS = {
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
}
SIGNS: dict[type[Logical], str] = {LogicalAnd: "&", LogicalOr: "|"}


@emits(Compare)
def compare(op: Compare, x: Operand, other: Operand | None, out: Tensor) -> Result:
    if other is None:
        return inline(Infix(COMPARISONS[op.test], x.expr, literal(op.value)), x.layout)
    (left, right), layout = aligned((x, other), backend, out)
    return inline(Infix(COMPARISONS[op.test], left, right), layout)


@emits(Where)
def where(op: Where, then: Operand, condition: Operand, otherwise: Operand | None, out: Tensor) -> Result:
    (test, *values), layout = aligned(
        [condition, then] if otherwise is None else [condition, then, otherwise], backend, out
    )
    return inline(
        Call(Name("torch.where"), (test, *values, *([literal(op.value)] if otherwise is None else []))),
        layout,
    )


@emits(LogicalNot)
def logical_not(op: LogicalNot, x: Operand, out: Tensor) -> Result:
    return inline(Prefix("~", x.expr), x.layout)


@emits(*SIGNS)
def logical(op: Logical, *xs: Operand, out: Tensor) -> Result:
    sides, layout = aligned(xs, backend, out)
    return inline(reduce(lambda a, b: Infix(SIGNS[type(op)], a, b), sides), layout)

"""Comparisons and masks in Keras."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import aligned
from specbuild.backends.base import inline
from specbuild.backends.keras.layout import backend, call, emits
from specbuild.codegen.constructions import literal
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops.logic import Compare, Logical, LogicalAnd, LogicalNot, LogicalOr, Where
from specbuild.ops.types import Tensor

FUNCTIONS: dict[type[Logical], str] = {LogicalAnd: "ops.logical_and", LogicalOr: "ops.logical_or"}


@emits(Compare)
def compare(op: Compare, x: Operand, other: Operand | None, out: Tensor) -> Result:
    if other is None:
        return inline(call(f"ops.{op.test}", x.expr, literal(op.value)), x.layout)
    sides, layout = aligned((x, other), backend, out)
    return inline(call(f"ops.{op.test}", *sides), layout)


@emits(Where)
def where(op: Where, then: Operand, condition: Operand, otherwise: Operand | None, out: Tensor) -> Result:
    sides, layout = aligned(
        [condition, then] if otherwise is None else [condition, then, otherwise], backend, out
    )
    return inline(call("ops.where", *sides, *([literal(op.value)] if otherwise is None else [])), layout)


@emits(LogicalNot)
def logical_not(op: LogicalNot, x: Operand, out: Tensor) -> Result:
    return inline(call("ops.logical_not", x.expr), x.layout)


@emits(*FUNCTIONS)
def logical(op: Logical, *xs: Operand, out: Tensor) -> Result:
    sides, layout = aligned(xs, backend, out)
    return inline(reduce(lambda a, b: call(FUNCTIONS[type(op)], a, b), sides), layout)

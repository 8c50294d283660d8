"""Comparisons and masks in Keras."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import align_operands
from specbuild.backends.base import inline_result
from specbuild.backends.keras.framework import backend, call_function, emits
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Literal
from specbuild.ops.logic import Compare, LogicalAnd, LogicalNot, LogicalOr, VariadicLogical, Where
from specbuild.ops.types import TensorType

LOGICAL_FUNCTIONS: dict[type[VariadicLogical], str] = {
    LogicalAnd: "ops.logical_and",
    LogicalOr: "ops.logical_or",
}


@emits(Compare)
def emit_compare(op: Compare, x: Operand, other: Operand | None, out: TensorType) -> LoweringResult:
    if other is None:
        return inline_result(call_function(f"ops.{op.test}", x.expr, literal_expression(op.value)), x.layout)
    sides, layout = align_operands((x, other), backend, out)
    return inline_result(call_function(f"ops.{op.test}", *sides), layout)


@emits(Where)
def emit_where(
    op: Where, then: Operand, condition: Operand, otherwise: Operand | None, out: TensorType
) -> LoweringResult:
    operands = [condition, then] if otherwise is None else [condition, then, otherwise]
    arguments, layout = align_operands(operands, backend, out)
    if otherwise is None:
        value = Literal(bool(op.value)) if out.dtype == "bool" else literal_expression(op.value)
        arguments.append(value)
    return inline_result(call_function("ops.where", *arguments), layout)


@emits(LogicalNot)
def emit_logical_not(op: LogicalNot, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(call_function("ops.logical_not", x.expr), x.layout)


@emits(*LOGICAL_FUNCTIONS)
def emit_logical(op: VariadicLogical, *xs: Operand, out: TensorType) -> LoweringResult:
    sides, layout = align_operands(xs, backend, out)
    return inline_result(reduce(lambda a, b: call_function(LOGICAL_FUNCTIONS[type(op)], a, b), sides), layout)

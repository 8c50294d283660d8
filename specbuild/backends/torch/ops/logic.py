"""Comparisons and masks in PyTorch."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import align_operands
from specbuild.backends.base import inline_result
from specbuild.backends.torch.framework import backend, emits
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Infix, Literal, Name, Prefix
from specbuild.ops.logic import Compare, LogicalAnd, LogicalNot, LogicalOr, VariadicLogical, Where
from specbuild.ops.types import TensorType

COMPARISON_SIGNS = {
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
}
LOGICAL_SIGNS: dict[type[VariadicLogical], str] = {LogicalAnd: "&", LogicalOr: "|"}


@emits(Compare)
def emit_compare(op: Compare, x: Operand, other: Operand | None, out: TensorType) -> LoweringResult:
    if other is None:
        return inline_result(Infix(COMPARISON_SIGNS[op.test], x.expr, literal_expression(op.value)), x.layout)
    (left, right), layout = align_operands((x, other), backend, out)
    return inline_result(Infix(COMPARISON_SIGNS[op.test], left, right), layout)


@emits(Where)
def emit_where(
    op: Where, then: Operand, condition: Operand, otherwise: Operand | None, out: TensorType
) -> LoweringResult:
    operands = [condition, then] if otherwise is None else [condition, then, otherwise]
    arguments, layout = align_operands(operands, backend, out)
    if otherwise is None:
        value = Literal(bool(op.value)) if out.dtype == "bool" else literal_expression(op.value)
        arguments.append(value)
    return inline_result(Call(Name("torch.where"), tuple(arguments)), layout)


@emits(LogicalNot)
def emit_logical_not(op: LogicalNot, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(Prefix("~", x.expr), x.layout)


@emits(*LOGICAL_SIGNS)
def emit_logical(op: VariadicLogical, *xs: Operand, out: TensorType) -> LoweringResult:
    sides, layout = align_operands(xs, backend, out)
    return inline_result(reduce(lambda a, b: Infix(LOGICAL_SIGNS[type(op)], a, b), sides), layout)

"""Arithmetic on several values, and concatenation, in Keras."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from specbuild.backends.align import align_operands
from specbuild.backends.arithmetic import ARITHMETIC_WRITERS
from specbuild.backends.base import inline_result
from specbuild.backends.indexing import axis_index, index_axis
from specbuild.backends.keras.framework import backend, call_function, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, Infix, ListOf, Literal, SliceExpr
from specbuild.ops.base import Op
from specbuild.ops.merge import Atan2, Concat, Elementwise, Maximum, Minimum
from specbuild.ops.types import TensorType

ELEMENTWISE_FUNCTIONS: dict[type[Elementwise], str] = {
    Minimum: "ops.minimum",
    Maximum: "ops.maximum",
    Atan2: "ops.arctan2",
}


@emits(*ARITHMETIC_WRITERS)
def emit_arithmetic(op: Op, *xs: Operand | None, out: TensorType) -> LoweringResult:
    operands = [x for x in xs if x is not None]
    sides, layout = align_operands(operands, backend, out)
    return inline_result(ARITHMETIC_WRITERS[type(op)](op, *cast_operands(operands, sides, out)), layout)


@emits(*ELEMENTWISE_FUNCTIONS)
def emit_function(op: Elementwise, *xs: Operand, out: TensorType) -> LoweringResult:
    sides, layout = align_operands(xs, backend, out)
    sides = cast_operands(xs, sides, out)
    function = ELEMENTWISE_FUNCTIONS[type(op)]
    return inline_result(reduce(lambda a, b: call_function(function, a, b), sides), layout)


def cast_operands(xs: Sequence[Operand], sides: list[Expr], out: TensorType) -> list[Expr]:
    """Return the operands cast to the type of the result: TensorFlow's operators do not mix types."""
    like = next(side for x, side in zip(xs, sides, strict=True) if x.type.dtype == out.dtype)
    return [
        side if x.type.dtype == out.dtype else call_function("ops.cast", side, Attribute(like, "dtype"))
        for x, side in zip(xs, sides, strict=True)
    ]


def unify_order(xs: tuple[Operand, ...], out: TensorType) -> tuple[list[Operand], Layout]:
    """Return values with equal axes in one order: that of the batched ones, or else the natural order."""
    deciding = [x.unfold_axes() for x in xs if x.layout.batched] or [x.unfold_axes() for x in xs]
    order = deciding[0].order
    if any(x.order != order for x in deciding):
        order = backend.natural_order(out)
    return [x.unfold_axes().to_order(*order) for x in xs], Layout(order, (), out.batched)


def repeat_for_batch(x: Operand, like: Operand, over: str | None = None) -> Expr:
    """Return a value without a batch, repeated to the batch size of `like`. The two may differ along `over`.

    The batch size of a symbolic value is unknown, so the value is added to zeros like the other one.
    """
    batched = like.expr if over is None else index_axis(like, over, SliceExpr(None, Literal(1)))
    return Infix("+", call_function("ops.zeros_like", batched), x.expr)


def repeat_batch(x: Operand, like: Operand) -> Expr:
    """Return a value without a batch, repeated to the batch size of a value with other axes."""
    first = Index(like.expr, (SliceExpr(), *[Literal(0)] * len(like.order)))
    dtype = {"dtype": x.type.dtype} if x.type.dtype != "float" and x.type.dtype != like.type.dtype else {}
    zeros = Index(
        call_function("ops.zeros_like", first, **dtype), (SliceExpr(), *[Literal(None)] * len(x.order))
    )
    # tables of integers can have 64 bits
    value = call_function("ops.cast", x.expr, "int32") if x.type.dtype == "int32" else x.expr
    return Infix("+", zeros, value)


@emits(Concat)
def emit_concat(op: Concat, *xs: Operand, out: TensorType) -> LoweringResult:
    operands, layout = unify_order(xs, out)
    batched = next((x for x in operands if x.layout.batched), None)
    parts = tuple(
        x.expr if x.layout.batched or batched is None else repeat_for_batch(x, batched, op.over)
        for x in operands
    )
    code = call_function("ops.concatenate", ListOf(parts), axis=axis_index(layout, op.over))
    return inline_result(code, layout)

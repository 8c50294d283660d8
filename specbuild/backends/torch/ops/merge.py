"""Arithmetic on several values, and concatenation, in PyTorch."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import align_operands
from specbuild.backends.arithmetic import ARITHMETIC_WRITERS
from specbuild.backends.base import inline_result
from specbuild.backends.indexing import axis_index
from specbuild.backends.torch.framework import backend, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, ListOf, Literal, Name
from specbuild.ops.base import Op
from specbuild.ops.merge import Atan2, Concat, Elementwise, Maximum, Minimum
from specbuild.ops.types import SPATIAL, TensorType

ELEMENTWISE_FUNCTIONS: dict[type[Elementwise], str] = {
    Minimum: "torch.minimum",
    Maximum: "torch.maximum",
    Atan2: "torch.atan2",
}


@emits(*ARITHMETIC_WRITERS)
def emit_arithmetic(op: Op, *xs: Operand | None, out: TensorType) -> LoweringResult:
    sides, layout = align_operands([x for x in xs if x is not None], backend, out)
    return inline_result(ARITHMETIC_WRITERS[type(op)](op, *sides), layout)


@emits(*ELEMENTWISE_FUNCTIONS)
def emit_function(op: Elementwise, *xs: Operand, out: TensorType) -> LoweringResult:
    sides, layout = align_operands(xs, backend, out)
    function = Name(ELEMENTWISE_FUNCTIONS[type(op)])
    return inline_result(reduce(lambda a, b: Call(function, (a, b)), sides), layout)


def unify_order(xs: tuple[Operand, ...], out: TensorType) -> tuple[list[Operand], Layout]:
    """Return values with equal axes in one order: their common order, or the natural order if they differ.

    The order of a weight does not count if others are batched maps: these keep their order.
    """
    is_map = any(a in out for a in SPATIAL)
    deciding = [x.unfold_axes() for x in xs if x.layout.batched or not out.batched or not is_map]
    order = deciding[0].order
    if any(x.order != order for x in deciding):
        order = backend.natural_order(out)
    return [x.unfold_axes().to_order(*order) for x in xs], Layout(order, (), out.batched)


def repeat_for_batch(x: Operand, like: Operand) -> Expr:
    """Return a value without a batch, expanded to the batch size of another value."""
    return backend.add_batch(x.expr, x.layout, like.expr)


@emits(Concat)
def emit_concat(op: Concat, *xs: Operand, out: TensorType) -> LoweringResult:
    operands, layout = unify_order(xs, out)
    batched = next((x for x in operands if x.layout.batched), None)
    parts = tuple(
        x.expr if x.layout.batched or batched is None else repeat_for_batch(x, batched) for x in operands
    )
    keywords = (("dim", Literal(axis_index(layout, op.over))),)
    return inline_result(Call(Name("torch.cat"), (ListOf(parts),), keywords), layout)

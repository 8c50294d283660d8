"""Ops on several values in Keras."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from specbuild.backends.align import align_operands
from specbuild.backends.arithmetic import ARITHMETIC_WRITERS
from specbuild.backends.base import inline_result
from specbuild.backends.indexing import index_axis
from specbuild.backends.keras.layout import backend, call_function, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Attribute, Expr, Infix, ListOf, Literal, Slice
from specbuild.ops.base import Op
from specbuild.ops.merge import Concat, Elementwise, Maximum, Minimum
from specbuild.ops.types import TensorType

EXTREME_FUNCTIONS: dict[type[Elementwise], str] = {Minimum: "ops.minimum", Maximum: "ops.maximum"}


@emits(*ARITHMETIC_WRITERS)
def emit_arithmetic(op: Op, *xs: Operand | None, out: TensorType) -> LoweringResult:
    present = [x for x in xs if x is not None]
    sides, layout = align_operands(present, backend, out)
    return inline_result(ARITHMETIC_WRITERS[type(op)](op, *cast_operands(present, sides, out)), layout)


@emits(*EXTREME_FUNCTIONS)
def emit_extreme(op: Elementwise, *xs: Operand, out: TensorType) -> LoweringResult:
    sides, layout = align_operands(xs, backend, out)
    return inline_result(
        reduce(lambda a, b: call_function(EXTREME_FUNCTIONS[type(op)], a, b), cast_operands(xs, sides, out)),
        layout,
    )


def cast_operands(xs: Sequence[Operand], sides: list[Expr], out: TensorType) -> list[Expr]:
    """All of one type: that of the first one which is as the result. TensorFlow's operators mix none."""
    like = next(side for x, side in zip(xs, sides, strict=True) if x.type.dtype == out.dtype)
    return [
        side if x.type.dtype == out.dtype else call_function("ops.cast", side, Attribute(like, "dtype"))
        for x, side in zip(xs, sides, strict=True)
    ]


def unify_order(xs: tuple[Operand, ...], out: TensorType) -> tuple[list[Operand], Layout]:
    """Values with equal axes in one order: that of all batched ones if they agree, else the natural."""
    batched = [x.unfold_axes() for x in xs if x.layout.batched] or [x.unfold_axes() for x in xs]
    order = (
        batched[0].order if all(x.order == batched[0].order for x in batched) else backend.natural_order(out)
    )
    return [x.unfold_axes().to_order(*order) for x in xs], Layout(order, (), out.batched)


def repeat_for_batch(x: Operand, like: Operand, over: str | None = None) -> Expr:
    """A value without a batch, repeated for each sample of another, which may differ along `over`.

    The batch size is not known while layers are joined into a model, so the other value stands in for it.
    """
    batch = like.expr if over is None else index_axis(like, over, Slice(None, Literal(1)))
    return Infix("+", call_function("ops.zeros_like", batch), x.expr)


@emits(Concat)
def emit_concat(op: Concat, *xs: Operand, out: TensorType) -> LoweringResult:
    here, layout = unify_order(xs, out)
    batched = next((x for x in here if x.layout.batched), None)
    parts = tuple(
        x.expr if x.layout.batched or batched is None else repeat_for_batch(x, batched, op.over) for x in here
    )
    dim = layout.dim(op.over)
    return inline_result(
        call_function("ops.concatenate", ListOf(parts), axis=-1 if dim == layout.rank - 1 else dim), layout
    )

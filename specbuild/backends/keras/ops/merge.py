"""Ops on several values in Keras."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from specbuild.backends.align import aligned
from specbuild.backends.arithmetic import OPERATORS
from specbuild.backends.base import inline
from specbuild.backends.indexing import indexed
from specbuild.backends.keras.layout import backend, call, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Attribute, Expr, Infix, ListOf, Literal, Slice
from specbuild.ops.base import Op
from specbuild.ops.merge import Concat, Elementwise, Maximum, Minimum
from specbuild.ops.types import Tensor

EXTREMES: dict[type[Elementwise], str] = {Minimum: "ops.minimum", Maximum: "ops.maximum"}


@emits(*OPERATORS)
def arithmetic(op: Op, *xs: Operand | None, out: Tensor) -> Result:
    present = [x for x in xs if x is not None]
    sides, layout = aligned(present, backend, out)
    return inline(OPERATORS[type(op)](op, *cast(present, sides, out)), layout)


@emits(*EXTREMES)
def extreme(op: Elementwise, *xs: Operand, out: Tensor) -> Result:
    sides, layout = aligned(xs, backend, out)
    return inline(reduce(lambda a, b: call(EXTREMES[type(op)], a, b), cast(xs, sides, out)), layout)


def cast(xs: Sequence[Operand], sides: list[Expr], out: Tensor) -> list[Expr]:
    """All of one type: that of the first one which is as the result. TensorFlow's operators mix none."""
    like = next(side for x, side in zip(xs, sides, strict=True) if x.type.dtype == out.dtype)
    return [
        side if x.type.dtype == out.dtype else call("ops.cast", side, Attribute(like, "dtype"))
        for x, side in zip(xs, sides, strict=True)
    ]


def same_order(xs: tuple[Operand, ...], out: Tensor) -> tuple[list[Operand], Layout]:
    """Values with equal axes in one order: that of all batched ones if they agree, else the natural."""
    batched = [x.unfolded() for x in xs if x.layout.batched] or [x.unfolded() for x in xs]
    order = batched[0].order if all(x.order == batched[0].order for x in batched) else backend.natural(out)
    return [x.unfolded().to(*order) for x in xs], Layout(order, (), out.batched)


def expanded(x: Operand, like: Operand, over: str | None = None) -> Expr:
    """A value without a batch, repeated for each sample of another, which may differ along `over`.

    The batch size is not known while layers are joined into a model, so the other value stands in for it.
    """
    batch = like.expr if over is None else indexed(like, over, Slice(None, Literal(1)))
    return Infix("+", call("ops.zeros_like", batch), x.expr)


@emits(Concat)
def concat(op: Concat, *xs: Operand, out: Tensor) -> Result:
    here, layout = same_order(xs, out)
    batched = next((x for x in here if x.layout.batched), None)
    parts = tuple(
        x.expr if x.layout.batched or batched is None else expanded(x, batched, op.over) for x in here
    )
    dim = layout.dim(op.over)
    return inline(call("ops.concatenate", ListOf(parts), axis=-1 if dim == layout.rank - 1 else dim), layout)

"""Ops on several values in Keras."""

from __future__ import annotations

from functools import reduce

from specbuild.axes import Tensor
from specbuild.backends.align import aligned
from specbuild.backends.backend import inline
from specbuild.backends.keras.base import backend, call, emits, size
from specbuild.emit.code import Expr, Index, Infix, ListOf, Literal, TupleOf
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Operand, Result
from specbuild.ops.merge import Add, Concat, Elementwise, Multiply

SIGNS: dict[type[Elementwise], str] = {Add: "+", Multiply: "*"}


@emits(*SIGNS)
def infix(op: Elementwise, *xs: Operand, out: Tensor) -> Result:
    sides, layout = aligned(xs, backend, out)
    return inline(reduce(lambda a, b: Infix(SIGNS[type(op)], a, b), sides), layout)


def same_order(xs: tuple[Operand, ...], out: Tensor) -> tuple[list[Operand], Layout]:
    """Values with equal axes in one physical order: that of the first batched one, if all agree, else the natural."""
    batched = [x.unfolded() for x in xs if x.layout.batched] or [x.unfolded() for x in xs]
    order = batched[0].order if all(x.order == batched[0].order for x in batched) else backend.natural(out)
    return [x.unfolded().to(*order) for x in xs], Layout(order, (), out.batched)


def expanded(x: Operand, like: Operand) -> Expr:
    """A value without a batch, repeated for each sample of another."""
    count = Index(call("ops.shape", like.expr), (Literal(0),))
    sizes = tuple(size(x.expr, x.layout, a, x.type) for a in x.order)
    return call("ops.broadcast_to", x.expr, TupleOf((count, *sizes)))


@emits(Concat)
def concat(op: Concat, *xs: Operand, out: Tensor) -> Result:
    here, layout = same_order(xs, out)
    batched = next((x for x in here if x.layout.batched), None)
    parts = tuple(x.expr if x.layout.batched or batched is None else expanded(x, batched) for x in here)
    dim = layout.dim(op.over)
    return inline(call("ops.concatenate", ListOf(parts), axis=-1 if dim == layout.rank - 1 else dim), layout)

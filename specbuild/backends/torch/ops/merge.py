"""Ops on several values in PyTorch."""

from __future__ import annotations

from functools import reduce

from specbuild.backends.align import aligned
from specbuild.backends.arithmetic import OPERATORS
from specbuild.backends.base import inline
from specbuild.backends.torch.layout import backend, emits, method
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Attribute, Call, Expr, Index, ListOf, Literal, Name
from specbuild.ops.base import Op
from specbuild.ops.merge import Concat, Elementwise, Maximum, Minimum
from specbuild.ops.types import SPATIAL, Tensor

EXTREMES: dict[type[Elementwise], str] = {Minimum: "torch.minimum", Maximum: "torch.maximum"}


@emits(*OPERATORS)
def arithmetic(op: Op, *xs: Operand | None, out: Tensor) -> Result:
    sides, layout = aligned([x for x in xs if x is not None], backend, out)
    return inline(OPERATORS[type(op)](op, *sides), layout)


@emits(*EXTREMES)
def extreme(op: Elementwise, *xs: Operand, out: Tensor) -> Result:
    sides, layout = aligned(xs, backend, out)
    return inline(reduce(lambda a, b: Call(Name(EXTREMES[type(op)]), (a, b)), sides), layout)


def same_order(xs: tuple[Operand, ...], out: Tensor) -> tuple[list[Operand], Layout]:
    """Values with equal axes in one order: that of all of them if they agree, else the natural.

    Maps beside a weight keep theirs: it is the weight that is turned.
    """
    asked = [
        x.unfolded() for x in xs if x.layout.batched or not out.batched or not any(a in out for a in SPATIAL)
    ]
    order = asked[0].order if all(x.order == asked[0].order for x in asked) else backend.natural(out)
    return [x.unfolded().to(*order) for x in xs], Layout(order, (), out.batched)


def expanded(x: Operand, like: Operand) -> Expr:
    """A value without a batch, repeated for each sample of another."""
    count = Index(Attribute(like.expr, "shape"), (Literal(0),))
    return method(x.expr, "expand", count, *[-1] * len(x.order))


@emits(Concat)
def concat(op: Concat, *xs: Operand, out: Tensor) -> Result:
    here, layout = same_order(xs, out)
    batched = next((x for x in here if x.layout.batched), None)
    parts = tuple(x.expr if x.layout.batched or batched is None else expanded(x, batched) for x in here)
    dim = layout.dim(op.over)
    return inline(
        Call(Name("torch.cat"), (ListOf(parts),), (("dim", Literal(-1 if dim == layout.rank - 1 else dim)),)),
        layout,
    )

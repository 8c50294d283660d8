"""Values that meet by axis name: brought into one physical order, missing axes filled with size 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuild.backends.base import Backend
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, UnsupportedOp
from specbuild.codegen.tree import Expr, Index, Literal, Slice
from specbuild.ops.types import TensorType


def align_operands(xs: Sequence[Operand], backend: Backend, out: TensorType) -> tuple[list[Expr], Layout]:
    """The operands as expressions that broadcast against each other, and how the result lies."""
    target = common_layout(xs, backend, out)
    if any(
        x.layout.folded != target.folded and (x.layout.batched or any(a in x.type for a in target.folded))
        for x in xs
    ):
        xs = [x.unfold_axes() for x in xs]
        target = common_layout(xs, backend, out)
    return [broadcast_operand(x, target) for x in xs], target


def common_layout(xs: Sequence[Operand], backend: Backend, out: TensorType) -> Layout:
    """The order of the operand that has every axis; among several, the one in the framework's own order."""
    whole = [x for x in xs if len(x.type.sizes) == len(out.sizes)]
    natural = backend.natural_order(out)
    lead = next((x for x in whole if x.order == natural), whole[0] if whole else None)
    if lead is None:
        return Layout(natural, (), out.batched)
    return Layout(lead.order, lead.layout.folded, out.batched)


def broadcast_operand(x: Operand, target: Layout) -> Expr:
    """One operand with its axes in the order of `target`, and a dimension of 1 for each that it lacks."""
    order = tuple(a for a in target.order if a in x.type)
    here = x.to_order(*order, folded=x.layout.folded)
    items: list[Expr] = [Slice()] if here.layout.batched else []
    items += [Slice() if axis in x.type else Literal(None) for axis in target.order]
    if not here.layout.batched:
        while items and items[0] == Literal(None):
            items = items[1:]
    while items and items[-1] == Slice():
        items = items[:-1]
    return Index(here.expr, tuple(items)) if items else here.expr


def unfold_axes(x: Operand, axes: Iterable[str]) -> Operand:
    """A value with each of these axes in a dimension of its own."""
    return x.unfold_axes() if any(axis in x.layout.folded for axis in axes) else x


def require_batch(x: Operand) -> None:
    """Raises Unsupported for a value without a batch, whose first axis a norm would take for one."""
    if not x.layout.batched:
        raise UnsupportedOp("it norms batches, and this value has no batch", "`layer_norm` takes any value")

"""Axis alignment: bring operands into one layout by axis name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from specbuild.backends.base import Backend, inline_result
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Index, Literal, SliceExpr
from specbuild.ops.shape import Rename
from specbuild.ops.types import CHANNEL, TensorType


def align_operands(xs: Sequence[Operand], backend: Backend, out: TensorType) -> tuple[list[Expr], Layout]:
    """Return the operands as code that broadcasts, and the layout of the result."""
    target = common_layout(xs, backend, out)
    if any(
        x.layout.batch_axes != target.batch_axes
        and (x.layout.batched or any(a in x.type for a in target.batch_axes))
        for x in xs
    ):
        xs = [x.unfold_axes() for x in xs]
        target = common_layout(xs, backend, out)
    return [broadcast_operand(x, target) for x in xs], target


def common_layout(xs: Sequence[Operand], backend: Backend, out: TensorType) -> Layout:
    """Return the layout of an operand with all axes of the result, preferably in the natural order."""
    complete = [x for x in xs if len(x.type.sizes) == len(out.sizes)]
    natural = backend.natural_order(out)
    lead = next((x for x in complete if x.order == natural), complete[0] if complete else None)
    if lead is None:
        return Layout(natural, (), out.batched)
    return Layout(lead.order, lead.layout.batch_axes, out.batched)


def broadcast_operand(x: Operand, target: Layout) -> Expr:
    """Return an operand in the order of `target`, with a dimension of size 1 for each missing axis."""
    order = tuple(a for a in target.order if a in x.type)
    x = x.to_order(*order, batch_axes=x.layout.batch_axes)
    items: list[Expr] = [SliceExpr()] if x.layout.batched else []
    items += [SliceExpr() if axis in x.type else Literal(None) for axis in target.order]
    if not x.layout.batched:
        while items and items[0] == Literal(None):
            items = items[1:]
    while items and items[-1] == SliceExpr():
        items = items[:-1]
    return Index(x.expr, tuple(items)) if items else x.expr


def unfold_axes(x: Operand, axes: Iterable[str]) -> Operand:
    """Return an operand in which none of these axes is folded into the batch."""
    return x.unfold_axes() if any(axis in x.layout.batch_axes for axis in axes) else x


def reduced_layout(x: Operand, axes: tuple[str, ...], keep: bool) -> Layout:
    """Return the layout after a reduction over these axes. With `keep` they stay, with size 1."""
    order = x.order if keep else tuple(a for a in x.order if a not in axes)
    return Layout(order, x.layout.batch_axes, x.layout.batched)


def move_axes_last(x: Operand, axes: Sequence[str]) -> Operand:
    """Return an operand in which these axes are the last ones, in any order."""
    x = unfold_axes(x, axes)
    if set(x.order[-len(axes) :]) == set(axes):
        return x
    return x.to_order(*(a for a in x.order if a not in axes), *axes, batch_axes=x.layout.batch_axes)


def make_axes_adjacent(x: Operand, axes: tuple[str, ...], into: str, natural: tuple[str, ...]) -> Operand:
    """Return an operand with these axes next to each other in this order, ready to be merged into one axis.

    If they are not adjacent yet, the result is in the order `natural`, with `axes` at the position of `into`.
    """
    x = x.unfold_axes()
    start = x.order.index(axes[0])
    if x.order[start : start + len(axes)] == axes:
        return x
    if x.order[-1] == CHANNEL and CHANNEL not in (*axes, into):  # a channels-last map stays channels last
        natural = (*(a for a in natural if a != CHANNEL), CHANNEL)
    position = natural.index(into)
    return x.to_order(*natural[:position], *axes, *natural[position + 1 :])


def split_window_axes(x: Operand, axes: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """Return the channel axis of a windowed op over `axes`, and the axes to fold into the batch.

    The channel axis is C, or the last other axis if there is no C. Raises UnsupportedOp without a batch.
    """
    if not x.layout.batched:
        raise MissingBatch(
            "its windows need a batch dimension, and this value has none",
            "combine it with a batched value first",
        )
    others = [a for a in (*x.layout.batch_axes, *x.order) if a not in axes]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return channel, tuple(a for a in others if a != channel)


def list_other_axes(x: Operand, axes: Collection[str]) -> list[str]:
    """Return the axes of a value without a batch besides those that are resized; at most one is possible.

    Such a value gets a batch of size 1, and the other axis becomes its channels. Raises MissingBatch for more axes.
    """
    others = [a for a in x.order if a not in axes]
    if len(others) > 1:
        raise MissingBatch(
            f"without a batch it resizes a value with at most one other axis, and this one is {x.type}",
            "flatten the other axes first",
        )
    return others


def weight_order(x: Operand, axes: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the permutation from `axes` to their order in `x`; None if the order is the same."""
    order = tuple(axes.index(a) for a in x.order if a in axes)
    return None if order == tuple(range(len(axes))) else order


def require_batch(x: Operand) -> None:
    """Raise UnsupportedOp for a value without a batch: the norm would treat its first axis as the batch."""
    if not x.layout.batched:
        raise MissingBatch(
            "it needs a batch dimension, and this value has none",
            "use `layer_norm`, which needs no batch",
        )


def emit_rename(op: Rename, x: Operand, out: TensorType) -> LoweringResult:
    """Write a renaming of axes, which needs no code."""
    order = tuple(op.axes.get(a, a) for a in x.order)
    batch_axes = tuple(op.axes.get(a, a) for a in x.layout.batch_axes)
    return inline_result(x.expr, Layout(order, batch_axes, x.layout.batched))

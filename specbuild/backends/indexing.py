"""Indices and dimension numbers: `x[:, 1:]`, `x[..., 0]`, `dim=-1`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Backend, inline_result, is_fixed
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Index, ListOf, Literal, Name, SliceExpr
from specbuild.ops import arrange
from specbuild.ops.types import TensorType

WHOLE_AXIS = SliceExpr()
NEW_AXIS = Literal(None)


def axis_index(layout: Layout, axis: str) -> int:
    """Return the dimension of an axis, -1 for the last."""
    dim = layout.dim(axis)
    return -1 if dim == layout.rank - 1 else dim


def axis_argument(layout: Layout, axes: tuple[str, ...]) -> Any:
    """Return the dimension of one axis (-1 for the last), or a tuple of the dimensions of several."""
    return axis_index(layout, axes[0]) if len(axes) == 1 else layout.sorted_dims(axes)


def index_axis(x: Operand, axis: str, item: Expr) -> Expr:
    """Return `x` with an index on one axis."""
    dim = x.dim(axis)
    if dim > 1 and dim == x.layout.rank - 1:
        return Index(x.expr, (Name("..."), item))
    return Index(x.expr, (*[WHOLE_AXIS] * dim, item))


def insert_axes(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """Return `x` with a dimension of size 1 for each axis of `order` that it lacks.

    With `batched`, a missing batch gets one too.
    """
    items = [WHOLE_AXIS if x.layout.batched else NEW_AXIS] if batched else []
    items += [WHOLE_AXIS if axis in x.order else NEW_AXIS for axis in order]
    if NEW_AXIS not in items:
        return x.expr
    while items and items[-1] == WHOLE_AXIS:
        items.pop()
    if items == [NEW_AXIS] and x.order:
        items.append(WHOLE_AXIS)  # Keras does not accept `x[None]`
    return Index(x.expr, tuple(items))


def extended_order(x: Operand, axes: tuple[str, ...], out: TensorType, backend: Backend) -> tuple[str, ...]:
    """Return the order of a value with new axes: the natural one if the old axes keep their order in it.

    Otherwise the new axes come first.
    """
    natural = backend.natural_order(out)
    if tuple(a for a in natural if a not in axes) == x.order:
        return natural
    return (*axes, *x.order)


def slice_expression(op: arrange.Slice) -> Expr:
    """Return `start:stop:step` without the parts that have their default value."""
    start = None if is_fixed(op.start, 0) else literal_expression(op.start)
    stop = None if op.stop is None else literal_expression(op.stop)
    step = None if is_fixed(op.step, 1) else literal_expression(op.step)
    return SliceExpr(start, stop, step)


def emit_slice(op: arrange.Slice, x: Operand, out: TensorType) -> LoweringResult:
    """Write a slice, or one position, of an axis."""
    x = unfold_axes(x, [op.over])
    if op.at is None:
        return inline_result(index_axis(x, op.over, slice_expression(op)), x.layout)
    order = tuple(a for a in x.order if a != op.over)
    layout = Layout(order, x.layout.batch_axes, x.layout.batched)
    return inline_result(index_axis(x, op.over, literal_expression(op.at)), layout)


def stack_operands(
    op: arrange.Stack,
    xs: Sequence[Operand],
    out: TensorType,
    backend: Backend,
    repeat_for_batch: Callable[[Operand, Operand], Expr],
) -> tuple[ListOf, Layout]:
    """Return the operands of a stack in one order, and the layout of the result.

    If any operand has a batch, the others are repeated to its size.
    """
    first = next((x for x in xs if x.layout.batched), xs[0]).unfold_axes()
    order = extended_order(first, (op.axis,), out, backend)
    xs = [x.unfold_axes().to_order(*first.order) for x in xs]
    parts = [x.expr if x.layout.batched or not out.batched else repeat_for_batch(x, first) for x in xs]
    return ListOf(tuple(parts)), Layout(order, (), out.batched)

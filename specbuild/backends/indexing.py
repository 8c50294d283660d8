"""Places of an axis, written as an index: `x[:, 1:]`, `x[..., 0]`."""

from __future__ import annotations

from specbuild.backends.base import Backend, is_fixed
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.lowering import Operand
from specbuild.codegen.tree import Expr, Index, Literal, Name, Slice
from specbuild.ops.arrange import Slice as Cut
from specbuild.ops.types import TensorType

WHOLE_AXIS = Slice()
NEW_AXIS = Literal(None)


def index_axis(x: Operand, axis: str, item: Expr) -> Expr:
    """`x` with an index on one axis; the others whole."""
    dim = x.dim(axis)
    if dim > 1 and dim == x.layout.rank - 1:
        return Index(x.expr, (Name("..."), item))
    return Index(x.expr, (*[WHOLE_AXIS] * dim, item))


def insert_axes(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """`x` with a dimension of size 1 for the batch and for each axis of `order` that it lacks."""
    items = [WHOLE_AXIS if x.layout.batched else NEW_AXIS] if batched else []
    items += [WHOLE_AXIS if axis in x.order else NEW_AXIS for axis in order]
    if NEW_AXIS not in items:
        return x.expr
    while items and items[-1] == WHOLE_AXIS:
        items.pop()
    if items == [NEW_AXIS] and x.order:
        items.append(WHOLE_AXIS)  # Keras takes no index that is None alone
    return Index(x.expr, tuple(items))


def extended_order(x: Operand, axes: tuple[str, ...], out: TensorType, backend: Backend) -> tuple[str, ...]:
    """The order of a value that gains axes: the framework's own if nothing else has to move for it."""
    natural = backend.natural_order(out)
    if tuple(a for a in natural if a not in axes) == x.order:
        return natural
    return (*axes, *x.order)


def slice_expression(op: Cut) -> Expr:
    """`start:stop:step`, of which what says nothing is left out."""
    start = None if is_fixed(op.start, 0) else literal_expression(op.start)
    return Slice(
        start,
        None if op.stop is None else literal_expression(op.stop),
        None if is_fixed(op.step, 1) else literal_expression(op.step),
    )

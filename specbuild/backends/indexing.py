"""Places of an axis, written as an index: `x[:, 1:]`, `x[..., 0]`."""

from __future__ import annotations

from specbuild.backends.base import Backend, fixed
from specbuild.codegen.constructions import literal
from specbuild.codegen.lowering import Operand
from specbuild.codegen.tree import Expr, Index, Literal, Name, Slice
from specbuild.ops.arrange import Slice as Cut
from specbuild.ops.types import Tensor

ALL = Slice()
NEW = Literal(None)


def indexed(x: Operand, axis: str, item: Expr) -> Expr:
    """`x` with an index on one axis; the others whole."""
    dim = x.dim(axis)
    if dim > 1 and dim == x.layout.rank - 1:
        return Index(x.expr, (Name("..."), item))
    return Index(x.expr, (*[ALL] * dim, item))


def widened(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """`x` with a dimension of size 1 for the batch and for each axis of `order` that it lacks."""
    items = [ALL if x.layout.batched else NEW] if batched else []
    items += [ALL if axis in x.order else NEW for axis in order]
    if NEW not in items:
        return x.expr
    while items and items[-1] == ALL:
        items.pop()
    if items == [NEW] and x.order:
        items.append(ALL)  # Keras takes no index that is None alone
    return Index(x.expr, tuple(items))


def with_axes(x: Operand, axes: tuple[str, ...], out: Tensor, backend: Backend) -> tuple[str, ...]:
    """The order of a value that gains axes: the framework's own if nothing else has to move for it."""
    natural = backend.natural(out)
    if tuple(a for a in natural if a not in axes) == x.order:
        return natural
    return (*axes, *x.order)


def span(op: Cut) -> Expr:
    """`start:stop:step`, of which what says nothing is left out."""
    start = None if fixed(op.start, 0) else literal(op.start)
    return Slice(
        start, None if op.stop is None else literal(op.stop), None if fixed(op.step, 1) else literal(op.step)
    )

"""Places picked, joined and repeated in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline
from specbuild.backends.indexing import indexed, span, widened, with_axes
from specbuild.backends.torch.layout import backend, emits, method
from specbuild.backends.torch.ops.merge import expanded
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Expr, ListOf
from specbuild.ops.arrange import Expand, Flip, RepeatInterleave, Roll, Slice, Split, Squeeze, Stack, Tile
from specbuild.ops.types import Tensor

STACK = External("torch.stack(tensors, dim=0)")
ROLL = External("torch.roll(input, shifts, dims=None)")


def last(x: Layout, dim: int) -> int:
    """A dimension, told as -1 if it is the last."""
    return -1 if dim == x.rank - 1 else dim


@emits(Slice)
def slice_(op: Slice, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    if op.at is not None:
        order = tuple(a for a in here.order if a != op.over)
        return inline(
            indexed(here, op.over, literal(op.at)), Layout(order, here.layout.folded, here.layout.batched)
        )
    return inline(indexed(here, op.over, span(op)), here.layout)


@emits(Split)
def split(op: Split, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    dim = last(here.layout, here.dim(op.over))
    if isinstance(op.into, Mapping):
        call = method(here.expr, "split", tuple(op.sizes(x.type).values()), dim=dim)
    else:
        call = method(here.expr, "chunk", len(op.into), dim=dim)
    return Result(call, here.layout, parts=tuple(op.into))


@emits(Stack)
def stack(op: Stack, *xs: Operand, out: Tensor) -> Result:
    first = next((x for x in xs if x.layout.batched), xs[0]).unfolded()
    order = with_axes(first, (op.axis,), out, backend)
    here = [x.unfolded().to(*first.order) for x in xs]
    parts = tuple(x.expr if x.layout.batched or not out.batched else expanded(x, first) for x in here)
    layout = Layout(order, (), out.batched)
    return inline(STACK(ListOf(parts), dim=last(layout, layout.dim(op.axis))), layout)


@emits(Expand)
def expand(op: Expand, x: Operand, out: Tensor) -> Result:
    here = x.unfolded()
    layout = Layout(with_axes(here, tuple(op.axes), out, backend), (), out.batched)
    call: Expr = widened(here, layout.order, out.batched)
    if any(not fixed(n, 1) for n in op.axes.values()):
        batch = (-1,) if out.batched else ()
        call = method(call, "expand", *batch, *(op.axes.get(a, -1) for a in layout.order))
    return inline(call, layout)


@emits(Squeeze)
def squeeze(op: Squeeze, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    dims = here.dims(op.over)
    order = tuple(a for a in here.order if a not in op.over)
    call = method(here.expr, "squeeze", last(here.layout, dims[0]) if len(dims) == 1 else dims)
    return inline(call, Layout(order, here.layout.folded, here.layout.batched))


@emits(Roll)
def roll(op: Roll, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.shift)
    axes = [a for a in here.order if a in op.shift]
    shifts, dims = tuple(op.shift[a] for a in axes), here.dims(tuple(axes))
    one = len(axes) == 1
    return inline(ROLL(here.expr, shifts[0] if one else shifts, dims=dims[0] if one else dims), here.layout)


@emits(Flip)
def flip(op: Flip, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    dims = here.dims(op.over)
    return inline(
        method(here.expr, "flip", last(here.layout, dims[0]) if len(dims) == 1 else dims), here.layout
    )


@emits(Tile)
def tile(op: Tile, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    times = [op.times if d == here.dim(op.over) else 1 for d in range(here.layout.rank)]
    return inline(method(here.expr, "repeat", *times), here.layout)


@emits(RepeatInterleave)
def repeat_interleave(op: RepeatInterleave, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, [op.over])
    dim = last(here.layout, here.dim(op.over))
    return inline(method(here.expr, "repeat_interleave", op.times, dim=dim), here.layout)

"""The operands of `grid_sample`: a batch, the channels, and the sampled axes."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Index, Literal, SliceExpr
from specbuild.ops.sampling import GridSample


class SamplingOperands(Struct, frozen=True):
    """The code of a map and its grid, and how to read the result.

    The map has the sampled axes in reverse, and one channel axis; the grid as many axes of points as are sampled.
    `added` says which of channels and points are new axes of size 1; `layout` is that of the result without them.
    """

    map: Expr
    grid: Expr
    added: tuple[bool, ...]
    layout: Layout

    def remove_added(self, code: Expr) -> Expr:
        """Return the result without the axes that were added."""
        items: list[Expr] = [SliceExpr(), *(Literal(0) if new else SliceExpr() for new in self.added)]
        while items and items[-1] == SliceExpr():
            items.pop()
        return Index(code, tuple(items)) if items else code


def sampling_operands(
    op: GridSample,
    x: Operand,
    grid: Operand,
    channels_last: bool,
    repeat_for_batch: Callable[[Operand, Operand], Expr],
) -> SamplingOperands:
    """Return the operands. Raises UnsupportedOp for values without a batch, if the code would need one."""
    shared = op.shared_axes(x.type, grid.type)
    if not x.layout.batched and not grid.layout.batched:
        raise UnsupportedOp(
            "neither the map nor the grid has a batch", "combine one with a batched value first"
        )
    if shared and not (x.layout.batched and grid.layout.batched):
        raise UnsupportedOp(
            f"the map and the grid share {', '.join(shared)}, and only one of them has a batch",
            "add a batched value to the other one first",
        )
    channels = op.channel_axes(x.type, grid.type)
    points = tuple(a for a in grid.unfold_axes().order if a in op.point_axes(x.type, grid.type))
    places = tuple(reversed(op.over))
    map_order = (*places, *channels) if channels_last else (*channels, *places)
    x_ = x.to_order(*map_order, batch_axes=shared)
    grid_ = grid.to_order(*points, op.coordinates, batch_axes=shared)
    x_code = x_.expr if x.layout.batched else repeat_for_batch(x_, grid_)
    grid_code = grid_.expr if grid.layout.batched else repeat_for_batch(grid_, x_)
    if not channels:
        ends = (SliceExpr(),) * (1 + len(places) if channels_last else 1)
        x_code = Index(x_code, (*ends, Literal(None)))
    missing = len(op.over) - len(points)
    if missing:
        grid_code = Index(grid_code, (SliceExpr(), *[Literal(None)] * missing))
    added_points = (*[True] * missing, *[False] * len(points))
    added = (*added_points, not channels) if channels_last else (not channels, *added_points)
    order = (*points, *channels) if channels_last else (*channels, *points)
    return SamplingOperands(x_code, grid_code, added, Layout(order, shared, True))

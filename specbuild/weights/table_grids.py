"""Infer the grid of a table's rows from the model: from the values to which the table is added."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from msgspec import Struct

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op

MAX_STEPS = 100  # the most steps to follow


class Grid(Struct, frozen=True):
    """The sides of a grid whose positions are the rows in row-major order, after `prefix` other rows."""

    sides: tuple[int, ...]
    prefix: int = 0

    @property
    def row_count(self) -> int:
        return self.prefix + prod(self.sides)


def infer_grid(block: Block, table: Node, axis: str) -> Grid | None:
    """Return the grid of one axis of a table, if all values to which it is added have the same."""
    grids = {trace_grid(block, ref, axis) for ref in added_values(block, table)}
    grid = grids.pop() if len(grids) == 1 else None
    return grid if grid is not None and grid.row_count == concrete(table.type[axis]) else None


def added_values(block: Block, table: Node) -> Iterator[Ref]:
    """Yield the values to which a table is added."""
    for node in block.nodes:
        if isinstance(node.op, Op) and node.op.is_sum and table.name in node.inputs:
            yield from (ref for ref in node.inputs if ref is not None and ref != table.name)


def trace_grid(block: Block, ref: Ref, axis: str) -> Grid | None:
    """Return the grid of one axis of a value: the axes flattened into it, and the rows concatenated before them."""
    prefix = 0
    for _ in range(MAX_STEPS):
        node = block.find_node(ref)
        if node is None or node.reuses is not None or axis not in block.value_type(ref):
            return None
        inputs = [source for source in node.inputs if source is not None]
        if isinstance(node.op, Skip):
            ref = inputs[0]
            continue
        if not isinstance(node.op, Op):
            return None
        types = [block.value_type(source) for source in inputs]
        source = node.op.position_source(axis, *types)
        if source is None:
            return None
        if source.merged_axes:
            sides = tuple(concrete(types[source.input][side]) for side in source.merged_axes)
            return Grid(sides, prefix + source.offset)
        prefix += source.offset
        ref, axis = inputs[source.input], source.axis or axis
    return None

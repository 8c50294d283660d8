"""The grid that a table's rows are the places of, as the model tells it: by what the table is added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.convolution import Linear
from specbuild.ops.merge import Add, Concat
from specbuild.ops.shape import Flatten

ROWWISE_FAMILIES = ("norm", "activation", "dropout")  # families that leave each row where it is
MAX_STEPS = 100  # steps that are looked through


@dataclass(frozen=True)
class Grid:
    """Sides of a grid whose places are rows in their order, after `prefix` rows that stand for no place."""

    sides: tuple[int, ...]
    prefix: int = 0

    @property
    def row_count(self) -> int:
        return self.prefix + prod(self.sides)


def infer_grid(block: Block, table: Node, axis: str) -> Grid | None:
    """The grid along one axis of a table, if all that it is added to agree on it."""
    grids = {trace_grid(block, ref, axis) for ref in added_values(block, table)}
    grid = grids.pop() if len(grids) == 1 else None
    return grid if grid is not None and grid.row_count == concrete(table.type[axis]) else None


def added_values(block: Block, table: Node) -> Iterator[Ref]:
    """The values that a table is added to."""
    for node in block.nodes:
        if isinstance(node.op, Add) and table.name in node.inputs:
            yield from (ref for ref in node.inputs if ref is not None and ref != table.name)


def trace_grid(block: Block, ref: Ref, axis: str) -> Grid | None:
    """The grid along one axis of a value: what was flattened into it, and what was put before."""
    prefix = 0
    for _ in range(MAX_STEPS):
        node = block.find_node(ref)
        if node is None or node.reuses is not None or axis not in block.value_type(ref):
            return None
        before = [one for one in node.inputs if one is not None]
        match node.op:
            case Flatten(axes=axes, into=into) if into == axis:
                return Grid(tuple(concrete(block.value_type(before[0])[a]) for a in axes), prefix)
            case Concat(over=over) if over == axis:
                prefix += sum(concrete(block.value_type(one)[axis]) for one in before[:-1])
                ref = before[-1]
            case Linear(over=over) if over == axis:
                return None
            case Linear() | Skip():
                ref = before[0]
            case Op(family=family) if family in ROWWISE_FAMILIES:
                ref = before[0]
            case _:
                return None
    return None

"""The grid that a table's rows are the places of, as the model tells it: by what the table is added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from specbuild.expressions import plain
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.convolution import Linear
from specbuild.ops.merge import Add, Concat
from specbuild.ops.shape import Flatten

KEEPING = ("norm", "activation", "dropout")  # families that leave each row where it is
FARTHEST = 100  # steps that are looked through


@dataclass(frozen=True)
class Grid:
    """Sides of a grid whose places are rows in their order, after `prefix` rows that stand for no place."""

    sides: tuple[int, ...]
    prefix: int = 0

    @property
    def rows(self) -> int:
        return self.prefix + prod(self.sides)


def told(block: Block, table: Node, axis: str) -> Grid | None:
    """The grid along one axis of a table, if all that it is added to agree on it."""
    found = {of(block, ref, axis) for ref in added(block, table)}
    grid = found.pop() if len(found) == 1 else None
    return grid if grid is not None and grid.rows == plain(table.type[axis]) else None


def added(block: Block, table: Node) -> Iterator[Ref]:
    """The values that a table is added to."""
    for node in block.nodes:
        if isinstance(node.op, Add) and table.name in node.inputs:
            yield from (ref for ref in node.inputs if ref is not None and ref != table.name)


def of(block: Block, ref: Ref, axis: str) -> Grid | None:
    """The grid along one axis of a value: what was flattened into it, and what was put before."""
    prefix = 0
    for _ in range(FARTHEST):
        node = block.node(ref)
        if node is None or node.reuses is not None or axis not in block.typed(ref):
            return None
        before = [one for one in node.inputs if one is not None]
        match node.op:
            case Flatten(axes=axes, into=into) if into == axis:
                return Grid(tuple(plain(block.typed(before[0])[a]) for a in axes), prefix)
            case Concat(over=over) if over == axis:
                prefix += sum(plain(block.typed(one)[axis]) for one in before[:-1])
                ref = before[-1]
            case Linear(over=over) if over == axis:
                return None
            case Linear() | Skip():
                ref = before[0]
            case Op(family=family) if family in KEEPING:
                ref = before[0]
            case _:
                return None
    return None

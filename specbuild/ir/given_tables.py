"""The tables of a model with too many given numbers for code: they are stored with the weights."""

from __future__ import annotations

from specbuild.ir.graph import Block, Node, walk_ops
from specbuild.ops.table import Const


def find_stored_tables(model: Block) -> dict[str, Node]:
    """Return the steps with such tables, by path."""
    return {
        path: node
        for path, node, _ in walk_ops(model)
        if isinstance(node.op, Const) and node.op.weight_specs()
    }

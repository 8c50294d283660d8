"""Inputs of a block of which only a size is read: in the attributes of a step, by a name such as `x.T`."""

from __future__ import annotations

import re
from functools import lru_cache

from specbuild.elaborate.notes import list_texts
from specbuild.ir.graph import Block, Node


def find_size_inputs(node: Node, block: Block) -> list[str]:
    """Return the inputs of a block that no step reads, and whose size this step reads: `const: {axes: {T: x.T}}`."""
    names = list_unread_inputs(block)
    texts = list(list_texts(node.at.read_value())) if names else []
    return [
        name for name in names if any(re.search(rf"\b{re.escape(name)}\.[A-Za-z]", text) for text in texts)
    ]


@lru_cache(maxsize=64)  # cached: each step of a block needs it
def list_unread_inputs(block: Block) -> tuple[str, ...]:
    """Return the inputs of a block that no step reads."""
    read = {ref for node in block.nodes for ref in node.inputs}
    return tuple(name for name in block.inputs if name not in read)

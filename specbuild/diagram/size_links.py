"""Inputs of a block of which only a size is read: in the attributes of a step, by a name such as `x.T`."""

from __future__ import annotations

import re

from specbuild.elaborate.notes import list_texts
from specbuild.ir.graph import Block, Node


def find_size_inputs(node: Node, block: Block) -> list[str]:
    """Return the inputs of a block that no step reads, and of which this step has a size: `const: {axes: {T: x.T}}`."""
    read = {ref for other in block.nodes for ref in other.inputs}
    texts = list(list_texts(node.at.read_value()))
    return [
        name
        for name in block.inputs
        if name not in read and any(re.search(rf"\b{re.escape(name)}\.[A-Za-z]", text) for text in texts)
    ]

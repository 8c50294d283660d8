"""Every step of a model by its path, with its place in the spec and the order of its axes in each framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweredBlock
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.types import TensorType


@dataclass(frozen=True)
class TracedStep:
    """One value of a model: `path` is in the author's words, `stage2.0.conv1` or `split@left`."""

    path: str
    node: Node
    type: TensorType
    layouts: Mapping[str, Layout]  # backend -> how it lies there
    is_named: bool  # whether the author gave it a name, or it is a block's

    @property
    def spec_location(self) -> SourceAddress:
        return self.node.at

    @property
    def op_name(self) -> str:
        op = self.node.op
        return op.kind if isinstance(op, Block) else getattr(op, "name", "skipped")


def trace_steps(tops: Mapping[str, LoweredBlock], path: tuple[str, ...] = ()) -> Iterator[TracedStep]:
    """Every value that steps give, in the order of the graph, those inside a block before the block's own.

    `tops` is the same model as each backend lowers it.
    """
    block = next(iter(tops.values())).block
    for node in block.nodes:
        if isinstance(node.op, Block):
            inner = {backend: lowered.children[node.name] for backend, lowered in tops.items()}
            yield from trace_steps(inner, (*path, node.name))
        if isinstance(node.op, Skip):
            continue
        for key in value_keys(node):
            layouts = {b: low.layouts[key] for b, low in tops.items() if key in low.layouts}
            if len(layouts) == len(tops):
                named = node.has_own_name or isinstance(node.op, Block)
                yield TracedStep(".".join((*path, key)), node, value_type(block, node, key), layouts, named)


def value_type(block: Block, node: Node, key: str) -> TensorType:
    """The type of a value; of a block that is only there for one tapped value, of that one."""
    if isinstance(node.op, Block) and len(node.op.outputs) == 1:
        return node.op.type
    return block.value_type(key)


def value_keys(node: Node) -> tuple[str, ...]:
    """The names of the values that a node gives, as the emitter calls them."""
    outputs = list(node.op.outputs) if isinstance(node.op, Block) else list(node.parts)
    return tuple(f"{node.name}@{name}" for name in outputs) if len(outputs) > 1 else (node.name,)

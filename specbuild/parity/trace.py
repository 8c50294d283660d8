"""Every step of a model by its path, with its place in the spec and the order of its axes in each framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Lowered
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.types import Tensor


@dataclass(frozen=True)
class Traced:
    """One value of a model: `path` is in the author's words, `stage2.0.conv1` or `split@left`."""

    path: str
    node: Node
    type: Tensor
    layouts: Mapping[str, Layout]  # backend -> how it lies there
    named: bool  # whether the author gave it a name, or it is a block's

    @property
    def at(self) -> At:
        return self.node.at

    @property
    def kind(self) -> str:
        op = self.node.op
        return op.kind if isinstance(op, Block) else getattr(op, "name", "skipped")


def traced(tops: Mapping[str, Lowered], path: tuple[str, ...] = ()) -> Iterator[Traced]:
    """Every value that steps give, in the order of the graph, those inside a block before the block's own.

    `tops` is the same model as each backend lowers it.
    """
    block = next(iter(tops.values())).block
    for node in block.nodes:
        if isinstance(node.op, Block):
            inner = {backend: lowered.children[node.name] for backend, lowered in tops.items()}
            yield from traced(inner, (*path, node.name))
        if isinstance(node.op, Skip):
            continue
        for key in keys(node):
            layouts = {b: low.layouts[key] for b, low in tops.items() if key in low.layouts}
            if len(layouts) == len(tops):
                named = node.named or isinstance(node.op, Block)
                yield Traced(".".join((*path, key)), node, typed(block, node, key), layouts, named)


def typed(block: Block, node: Node, key: str) -> Tensor:
    """The type of a value; of a block that is only there for one tapped value, of that one."""
    if isinstance(node.op, Block) and len(node.op.outputs) == 1:
        return node.op.type
    return block.typed(key)


def keys(node: Node) -> tuple[str, ...]:
    """The names of the values that a node gives, as the emitter calls them."""
    outputs = list(node.op.outputs) if isinstance(node.op, Block) else list(node.parts)
    return tuple(f"{node.name}@{name}" for name in outputs) if len(outputs) > 1 else (node.name,)

"""List every step of a model: its path, its location in the spec, and its layout in each framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.types import TensorType


class TracedStep(Struct, frozen=True):
    """One value of a model. `path` uses the names of the spec: `stage2.0.conv1`, or `split@left`."""

    path: str
    node: Node
    type: TensorType
    layouts: Mapping[str, Layout]  # by backend
    is_named: bool  # whether the spec names the step, or the step is a block

    @property
    def spec_location(self) -> SourceAddress:
        return self.node.at

    @property
    def op_name(self) -> str:
        op = self.node.op
        return op.name if isinstance(op, Block) else getattr(op, "title", "skipped")


def trace_steps(lowered: Mapping[str, LoweredBlock], path: tuple[str, ...] = ()) -> Iterator[TracedStep]:
    """Yield the values of all steps in graph order; the steps inside a block come before the block itself.

    `lowered` is the same model, lowered by each backend. Values that a backend does not compute are left out.
    """
    block = next(iter(lowered.values())).block
    for node in block.nodes:
        if isinstance(node.op, Block) and node.scan is None:  # a scan has no single value for a step inside
            children = {backend: parent.children[node.name] for backend, parent in lowered.items()}
            yield from trace_steps(children, (*path, node.name))
        if isinstance(node.op, Skip):
            continue
        for key in value_keys(node):
            layouts = {b: parent.layouts[key] for b, parent in lowered.items() if key in parent.layouts}
            if len(layouts) == len(lowered):
                named = node.has_own_name or isinstance(node.op, Block)
                yield TracedStep(".".join((*path, key)), node, value_type(block, node, key), layouts, named)


def value_type(block: Block, node: Node, key: str) -> TensorType:
    """Return the type of a node's value. A block with a single named output has that output's type."""
    if isinstance(node.op, Block) and len(node.op.outputs) == 1:
        return (
            node.op.type
            if node.scan is None
            else node.scan.output_type(next(iter(node.op.outputs)), node.op.type)
        )
    return block.value_type(key)


def value_keys(node: Node) -> tuple[str, ...]:
    """Return the names of a node's values in generated code: `split@left` and so on if there are several."""
    outputs = list(node.op.outputs) if isinstance(node.op, Block) else list(node.parts)
    return tuple(f"{node.name}@{name}" for name in outputs) if len(outputs) > 1 else (node.name,)

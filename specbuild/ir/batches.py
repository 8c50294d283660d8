"""Give a batch to inputs of a block instance that have none, and so to the values inside that depend on them."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from specbuild.ir.graph import Block, Node, Ref, node_output_type
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType


def batch_inputs(block: Block, names: Collection[str]) -> Block:
    """Return the block instance for inputs of which these, too, have a batch. Sizes stay as they are."""
    types: dict[Ref, TensorType] = {
        name: x.with_batch() if name in names else x for name, x in block.inputs.items()
    }
    nodes: dict[str, Node] = {}

    def find_type(ref: Ref) -> TensorType:
        if ref in types:
            return types[ref]
        name, _, output = ref.partition("@")
        return node_output_type(nodes[name], output) if output else nodes[name].type

    inputs = dict(types)
    for node in block.nodes:
        sources = [None if ref is None else find_type(ref) for ref in node.inputs]
        old = [None if ref is None else block.value_type(ref) for ref in node.inputs]
        changed = [
            new is not None and before is not None and new.batched != before.batched
            for new, before in zip(sources, old, strict=True)
        ]
        nodes[node.name] = batch_node(node, sources, changed) if any(changed) else node
    outputs = {
        name: replace(o, type=batch_type(o.type, find_type(o.ref))) for name, o in block.outputs.items()
    }
    return replace(block, inputs=inputs, nodes=tuple(nodes.values()), outputs=outputs)


def batch_node(node: Node, sources: list[TensorType | None], changed: list[bool]) -> Node:
    """Return a node for inputs of which those in `changed` have a batch now."""
    if isinstance(node.op, Block):
        inner_names = [name for name, new in zip(node.op.inputs, changed, strict=True) if new]
        inner_names += node.scan.carried if node.scan else ()
        inner = batch_inputs(node.op, [name for name in inner_names if not node.op.inputs[name].batched])
        return replace(node, op=inner, type=batch_type(node.type, inner.type))
    if not isinstance(node.op, Op):
        return replace(node, type=node.type.with_batch())
    parts = node.op.part_types(*sources)
    return replace(
        node,
        type=batch_type(node.type, node.op.infer_type(*sources)),
        parts={name: batch_type(x, parts[name]) for name, x in node.parts.items()},
    )


def batch_type(x: TensorType, like: TensorType) -> TensorType:
    """Return a type with a batch if `like` has one."""
    return x.with_batch() if like.batched else x

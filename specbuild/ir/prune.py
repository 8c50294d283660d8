"""Graph to graph: what no output needs is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from specbuild.ir.graph import Block, Node, node_output_type

GraphPass = Callable[[Block], Block]


def prune_unused(model: Block) -> Block:
    """The model without the steps that none of its outputs needs; inner blocks without such outputs."""
    pruned_blocks: dict[tuple[int, tuple[str, ...]], Block] = {}

    def prune_once(block: Block, wanted: tuple[str, ...]) -> Block:
        key = (id(block), wanted)
        if key not in pruned_blocks:
            pruned_blocks[key] = prune_block(block, wanted)
        return pruned_blocks[key]

    def prune_block(block: Block, wanted: tuple[str, ...]) -> Block:
        outputs = {name: block.outputs[name] for name in wanted}
        by_node: dict[str, set[str]] = {}

        def mark_needed(ref: str) -> None:
            by_node.setdefault(ref.partition("@")[0], set()).add(ref)

        for output in outputs.values():
            mark_needed(output.ref)
        needed_nodes: list[Node] = []
        asked: dict[str, set[str]] = {}  # node with the weights -> outputs that somebody reads
        again: dict[str, str] = {}  # node with the weights -> the first that uses them again
        new_names: dict[str, str] = {}  # that node, where nobody reads the one with the weights, to its name
        for node in reversed(block.nodes):
            mine = by_node.get(node.name, set())
            if not mine:
                if node.name in again:
                    new_names[again[node.name]] = node.name
                continue
            needed_nodes.append(node)
            if isinstance(node.op, Block):
                first = next(iter(node.op.outputs))
                asked.setdefault(node.reuses or node.name, set()).update(
                    r.partition("@")[2] if "@" in r else first for r in mine
                )
            for ref in node.inputs:
                if ref is not None:
                    mark_needed(ref)
            if node.reuses:
                again[node.reuses] = node.name
        outputs = {name: replace(o, ref=rename_reference(o.ref, new_names)) for name, o in outputs.items()}
        nodes = []
        for node in reversed(needed_nodes):
            if new_names:
                inputs = tuple(ref and rename_reference(ref, new_names) for ref in node.inputs)
                node = replace(node, inputs=inputs, reuses=None if node.name in new_names else node.reuses)
                node = replace(node, name=rename_reference(node.name, new_names))
            if isinstance(node.op, Block):
                names = asked[node.reuses or node.name]
                wanted_here = tuple(name for name in node.op.outputs if name in names)
                node = replace(node, op=prune_once(node.op, wanted_here))
                node = replace(node, type=node_output_type(node, wanted_here[0]))
            nodes.append(node)
        return replace(block, nodes=tuple(nodes), outputs=outputs)

    return prune_once(model, tuple(model.outputs))


def rename_reference(ref: str, new_names: Mapping[str, str]) -> str:
    """A reference to a value of the node whose name another takes over."""
    name, at, output = ref.partition("@")
    return new_names.get(name, name) + at + output


PASSES: tuple[GraphPass, ...] = (prune_unused,)

"""Graph to graph: what no output needs is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from specbuild.ir.graph import Block, Node, retold

Pass = Callable[[Block], Block]


def needed(model: Block) -> Block:
    """The model without the steps that none of its outputs needs; inner blocks without such outputs."""
    made: dict[tuple[int, tuple[str, ...]], Block] = {}

    def visit(block: Block, wanted: tuple[str, ...]) -> Block:
        key = (id(block), wanted)
        if key not in made:
            made[key] = pruned(block, wanted)
        return made[key]

    def pruned(block: Block, wanted: tuple[str, ...]) -> Block:
        outputs = {name: block.outputs[name] for name in wanted}
        by_node: dict[str, set[str]] = {}

        def want(ref: str) -> None:
            by_node.setdefault(ref.partition("@")[0], set()).add(ref)

        for output in outputs.values():
            want(output.ref)
        kept: list[Node] = []
        asked: dict[str, set[str]] = {}  # node with the weights -> outputs that somebody reads
        again: dict[str, str] = {}  # node with the weights -> the first that uses them again
        heirs: dict[str, str] = {}  # that node, where nobody reads the one with the weights, to its name
        for node in reversed(block.nodes):
            mine = by_node.get(node.name, set())
            if not mine:
                if node.name in again:
                    heirs[again[node.name]] = node.name
                continue
            kept.append(node)
            if isinstance(node.op, Block):
                first = next(iter(node.op.outputs))
                asked.setdefault(node.reuses or node.name, set()).update(
                    r.partition("@")[2] if "@" in r else first for r in mine
                )
            for ref in node.inputs:
                if ref is not None:
                    want(ref)
            if node.reuses:
                again[node.reuses] = node.name
        outputs = {name: replace(o, ref=inherited(o.ref, heirs)) for name, o in outputs.items()}
        nodes = []
        for node in reversed(kept):
            if heirs:
                inputs = tuple(ref and inherited(ref, heirs) for ref in node.inputs)
                node = replace(node, inputs=inputs, reuses=None if node.name in heirs else node.reuses)
                node = replace(node, name=inherited(node.name, heirs))
            if isinstance(node.op, Block):
                names = asked[node.reuses or node.name]
                wanted_here = tuple(name for name in node.op.outputs if name in names)
                node = replace(node, op=visit(node.op, wanted_here))
                node = replace(node, type=retold(node, wanted_here[0]))
            nodes.append(node)
        return replace(block, nodes=tuple(nodes), outputs=outputs)

    return visit(model, tuple(model.outputs))


def inherited(ref: str, heirs: Mapping[str, str]) -> str:
    """A reference to a value of the node whose name another takes over."""
    name, at, output = ref.partition("@")
    return heirs.get(name, name) + at + output


PASSES: tuple[Pass, ...] = (needed,)

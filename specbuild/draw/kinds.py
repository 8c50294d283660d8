"""The kinds of block in one picture, each with all its instances, and what their steps take."""

from __future__ import annotations

from collections import Counter

from specbuild.draw.palette import kind_of
from specbuild.draw.view import Costing, Kind, Scope
from specbuild.graph import Block, Node, Skip


class Kinds:
    """Collects the kinds of one picture."""

    def __init__(self, costs: Costing, ops: bool) -> None:
        self._costing = costs
        self._costs: dict[
            int, tuple[Node, tuple[int, int]]
        ] = {}  # holds the step, so that its id stays its own
        self.ops = ops  # every op in its own box
        self.found: dict[str, Kind] = {}
        self._keys: dict[object, str] = {}
        self._mixes: dict[int, Counter[str]] = {}
        self._held: list[Block] = []

    def costs(self, node: Node, holder: Block) -> tuple[int, int]:
        """What a step takes, asked for once."""
        if id(node) not in self._costs:
            self._costs[id(node)] = node, self._costing(node, holder)
        return self._costs[id(node)][1]

    def kind(self, block: Block) -> str:
        """The key of a block's kind; instances of one definition have one kind."""
        identity = (block.kind, id(block.at.source), block.at.path)
        return self.entered(identity, block.kind, block.doc, Scope.of(block), block)

    def entered(self, identity: object, title: str, doc: str, scope: Scope, block: Block) -> str:
        if identity not in self._keys:
            key = self._keys[identity] = f"k{len(self._keys)}"
            self.found[key] = Kind(key, title, doc, [], block.at)
            self._held.append(block)
        key = self._keys[identity]
        if not any(s.holder is scope.holder and s.nodes == scope.nodes for s in self.found[key].scopes):
            self.found[key].scopes.append(scope)
        return key

    def mix(self, node: Node, holder: Block) -> Counter[str]:
        """Multiply-adds by kind of op."""
        if isinstance(node.op, Skip):
            return Counter()
        if isinstance(node.op, Block):
            return self.block_mix(node.op)
        macs = self.costs(node, holder)[1]
        return Counter({kind_of(node.op.family): macs}) if macs else Counter()

    def block_mix(self, block: Block) -> Counter[str]:
        if id(block) not in self._mixes:
            self._held.append(block)
            total: Counter[str] = Counter()
            for node in block.nodes:
                total.update(self.mix(node, block))
            self._mixes[id(block)] = total
        return self._mixes[id(block)]

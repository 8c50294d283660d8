"""The kinds of block in one picture, each with all its instances, and what their steps take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from specbuild.diagram.diff_marks import Marks, Sort
from specbuild.diagram.palette import kind_of
from specbuild.diagram.view import Costing, Kind, Scope
from specbuild.ir.graph import Block, Node, Skip


class Kinds:
    """Collects the kinds of one picture."""

    def __init__(self, costs: Costing, ops: bool, marks: Marks | None = None) -> None:
        self._costing = costs
        self._costs: dict[
            int, tuple[Node, tuple[int, int]]
        ] = {}  # holds the step, so that its id stays its own
        self.ops = ops  # every op in its own box
        self.compared = marks is not None
        self.marks = marks or Marks()
        self.found: dict[str, Kind] = {}
        self._keys: dict[object, str] = {}
        self._mixes: dict[int, Counter[str]] = {}
        self._held: list[Block] = []
        self._varieties: dict[int, int] = {}
        self._said: dict[Hashable, list[dict[str, Hashable]]] = {}

    def costs(self, node: Node, holder: Block) -> tuple[int, int]:
        """What a step takes, asked for once."""
        if id(node) not in self._costs:
            self._costs[id(node)] = node, self._costing(node, holder)
        return self._costs[id(node)][1]

    def kind(self, block: Block) -> str:
        """The key of a block's kind; instances of one definition of which the same is to be said have one kind."""
        identity: tuple[Hashable, ...] = (block.kind, id(block.at.source), block.at.path)
        if self.compared:
            identity = (*identity, self.variety(identity, block))
        return self.entered(identity, block.kind, block.doc, Scope.of(block), block)

    def variety(self, identity: Hashable, block: Block) -> int:
        """Which of the varieties of one definition a block is: the same is said of every step that any two have."""
        if id(block) in self._varieties:
            return self._varieties[id(block)]
        said: dict[str, Hashable] = {}
        for node in block.nodes:
            if not isinstance(node.op, Skip):
                opened = isinstance(node.op, Block) and self.marks.form(node.op)
                inside = self.kind(node.op) if opened and isinstance(node.op, Block) else ""
                said[node.name] = self.marks.of(block, node.name).form, inside
        for name in (*block.inputs, *(f">{name}" for name in block.outputs)):
            said[f"{name}@"] = self.marks.of(block, name).form
        known = self._said.setdefault(identity, [])
        fitting = (o for o in known if all(o.get(name, form) == form for name, form in said.items()))
        if (other := next(fitting, None)) is None:
            known.append(other := {})
        other.update(said)
        self._varieties[id(block)] = next(i for i, o in enumerate(known) if o is other)
        self._held.append(block)
        return self._varieties[id(block)]

    def entered(self, identity: object, title: str, doc: str, scope: Scope, block: Block) -> str:
        if identity not in self._keys:
            key = self._keys[identity] = f"k{len(self._keys)}"
            self.found[key] = Kind(key, title, doc, [], block.at, self.marks)
            self._held.append(block)
        key = self._keys[identity]
        if not any(s.holder is scope.holder and s.nodes == scope.nodes for s in self.found[key].scopes):
            self.found[key].scopes.append(scope)
        return key

    def opened(self, block: Block, sort: Sort, fresh: bool) -> str:
        """The key of a block's kind, if a picture opens it: of two models, only what differs inside, or is new to them."""
        key = self.kind(block)
        if not self.compared or self.marks.form(block):
            return key
        if fresh:
            self.found[key].mark = sort
            return key
        return ""

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

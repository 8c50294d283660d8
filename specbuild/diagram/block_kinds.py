"""The kinds of block in one diagram, each with all its instances, and the cost of their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from specbuild.diagram.diff_marks import ChangeType, DiffMarks
from specbuild.diagram.palette import op_kind
from specbuild.diagram.view_model import BlockKind, CostFunction, StepScope
from specbuild.ir.graph import Block, FreeSizes, Node, Skip


class BlockKinds:
    """Collects the kinds of block of one diagram."""

    def __init__(
        self,
        costs: CostFunction,
        all_ops: bool,
        marks: DiffMarks | None = None,
        free_sizes: FreeSizes | None = None,
    ) -> None:
        self._cost_function = costs
        # By id of the step. The step is stored as well, so that no other object gets its id.
        self._costs: dict[tuple[Block, str], tuple[int, int]] = {}
        self.all_ops = all_ops  # every op in its own box
        self.is_diff = marks is not None
        self.marks = marks or DiffMarks()
        self.free_sizes = free_sizes or FreeSizes()
        self.by_key: dict[str, BlockKind] = {}
        self._keys: dict[object, str] = {}
        self._block_macs: dict[Block, Counter[str]] = {}
        self._varieties: dict[Block, int] = {}
        self._known_varieties: dict[Hashable, list[dict[str, Hashable]]] = {}

    def step_cost(self, node: Node, block: Block) -> tuple[int, int]:
        """Return parameters and multiply-adds of a step. The cost function is called once for each step."""
        key = (block, node.name)
        if key not in self._costs:
            self._costs[key] = self._cost_function(node, block)
        return self._costs[key]

    def kind_key(self, block: Block) -> str:
        """Return the key of the kind of a block: its definition, and in a diagram of two models its changes too."""
        identity: tuple[Hashable, ...] = (block.name, block.at)
        if self.is_diff:
            identity = (*identity, self.variety_index(identity, block))
        return self.register_kind(identity, block.name, block.doc, StepScope.from_block(block), block)

    def variety_index(self, identity: Hashable, block: Block) -> int:
        """Return the number of the variety of a block.

        Instances are of one variety if the steps that they have in common changed in the same way.
        """
        if block in self._varieties:
            return self._varieties[block]
        signatures: dict[str, Hashable] = {}
        for node in block.nodes:
            if not isinstance(node.op, Skip):
                has_changes = isinstance(node.op, Block) and self.marks.block_signature(node.op)
                inside = self.kind_key(node.op) if isinstance(node.op, Block) and has_changes else ""
                signatures[node.name] = self.marks.mark_of(block, node.name).signature, inside
        for name in (*block.inputs, *(f">{name}" for name in block.outputs)):
            signatures[f"{name}@"] = self.marks.mark_of(block, name).signature
        varieties = self._known_varieties.setdefault(identity, [])
        fits = (
            all(variety.get(name, signature) == signature for name, signature in signatures.items())
            for variety in varieties
        )
        index = next((i for i, fit in enumerate(fits) if fit), len(varieties))
        if index == len(varieties):
            varieties.append({})
        varieties[index].update(signatures)
        self._varieties[block] = index
        return index

    def register_kind(self, identity: object, title: str, doc: str, scope: StepScope, block: Block) -> str:
        """Add an instance to its kind, which is new if its identity is. Returns the key of the kind."""
        if identity not in self._keys:
            key = self._keys[identity] = f"k{len(self._keys)}"
            self.by_key[key] = BlockKind(
                key, title, doc, [], block.at, self.marks, free_sizes=self.free_sizes
            )
        key = self._keys[identity]
        if not any(s.block is scope.block and s.nodes == scope.nodes for s in self.by_key[key].scopes):
            self.by_key[key].scopes.append(scope)
        return key

    def panel_key(self, block: Block, change: ChangeType, is_new_block: bool) -> str:
        """Return the key of the panel of a block, or an empty text if it gets none.

        In a diagram of two models, a block gets a panel if it has changes inside, or if one model lacks its
        definition.
        """
        key = self.kind_key(block)
        if not self.is_diff or self.marks.block_signature(block):
            return key
        if is_new_block:
            self.by_key[key].change = change
            return key
        return ""

    def macs_by_kind(self, node: Node, block: Block) -> Counter[str]:
        """Return multiply-adds of a step by kind of op."""
        if isinstance(node.op, Skip):
            return Counter()
        if isinstance(node.op, Block):
            return self.block_macs_by_kind(node.op)
        macs = self.step_cost(node, block)[1]
        return Counter({op_kind(node.op.family): macs}) if macs else Counter()

    def block_macs_by_kind(self, block: Block) -> Counter[str]:
        if block not in self._block_macs:
            total: Counter[str] = Counter()
            for node in block.nodes:
                total.update(self.macs_by_kind(node, block))
            self._block_macs[block] = total
        return self._block_macs[block]

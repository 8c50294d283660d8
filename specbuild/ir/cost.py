"""The cost of a model: parameters, multiply-adds and activations, counted on the graph."""

from __future__ import annotations

from math import prod

from msgspec import Struct
from msgspec.structs import replace

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.base import Op


class Cost(Struct, frozen=True):
    """The cost of one part of a model; `macs` and `activations` are for one sample and one forward pass."""

    parameters: int = 0  # number of elements, frozen ones included
    buffers: int = 0  # elements that are stored but not trained, such as running statistics
    macs: int = 0  # multiply-adds; elementwise operations are not counted
    activations: int = 0  # elements in the outputs of all steps: an upper bound of what training stores
    frozen: int = 0  # the parameters that an edit freezes

    @property
    def memory(self) -> int:
        """Bytes for all activations as float32."""
        return 4 * self.activations

    @property
    def reuse_cost(self) -> Cost:
        """The cost of one more use of the part, with the same weights."""
        return Cost(macs=self.macs, activations=self.activations)

    @property
    def frozen_cost(self) -> Cost:
        """The same cost with all parameters frozen."""
        return replace(self, frozen=self.parameters)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.buffers + other.buffers,
            self.macs + other.macs,
            self.activations + other.activations,
            self.frozen + other.frozen,
        )

    def __mul__(self, times: int) -> Cost:
        counts = (self.parameters, self.buffers, self.macs, self.activations, self.frozen)
        return Cost(*(times * n for n in counts))


class CostCounter:
    """Computes the cost of any part of a model; remembers the result for each block instance."""

    def __init__(self) -> None:
        self._blocks: dict[Block, Cost] = {}

    def block_cost(self, block: Block) -> Cost:
        """Return the cost of a block instance with everything inside it."""
        if block not in self._blocks:
            self._blocks[block] = sum((self.node_cost(node, block) for node in block.nodes), Cost())
        return self._blocks[block]

    def node_cost(self, node: Node, block: Block) -> Cost:
        """Return the cost of one step; the weights of a `reuse` are counted at the original step."""
        if isinstance(node.op, Skip):
            return Cost()
        cost = self.block_cost(node.op) if isinstance(node.op, Block) else op_cost(node, node.op, block)
        cost = scanned_cost(node, cost)
        if node.reuses:
            return cost.reuse_cost
        return cost.frozen_cost if block.is_frozen(node.name) else cost


def scanned_cost(node: Node, cost: Cost) -> Cost:
    """Return the cost of all positions from that of one; they share the weights."""
    if node.scan is None:
        return cost
    times = concrete(node.scan.size)
    return replace(cost, macs=times * cost.macs, activations=times * cost.activations)


def op_cost(node: Node, op: Op, block: Block) -> Cost:
    """Return the cost of a step that is an op, as if it were neither frozen nor a reuse."""
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    sizes = {True: 0, False: 0}
    for weight in op.weight_specs(*types).values():
        sizes[weight.is_trainable] += prod(concrete(n) for n in weight.axes.values())
    values = node.parts.values() or (node.type,)
    return Cost(
        parameters=sizes[True],
        buffers=sizes[False],
        macs=concrete(op.count_macs(*types)),
        activations=sum(value.element_count for value in values if value.batched),
    )


def model_cost(model: Block) -> Cost:
    """Return the cost of a whole model."""
    return CostCounter().block_cost(model)


class FamilyCost(Struct, frozen=True):
    """The total cost of the ops of one family; `steps` also counts each reuse."""

    steps: int = 0
    cost: Cost = Cost()

    def __add__(self, other: FamilyCost) -> FamilyCost:
        return FamilyCost(self.steps + other.steps, self.cost + other.cost)


def family_costs(model: Block) -> dict[str, FamilyCost]:
    """Return the total cost of each family of ops, the family with the most multiply-adds first."""
    costs = CostCounter()
    by_block: dict[Block, dict[str, FamilyCost]] = {}

    def node_families(node: Node, block: Block) -> dict[str, FamilyCost]:
        if isinstance(node.op, Skip):
            return {}
        if isinstance(node.op, Block):
            families = {
                name: FamilyCost(f.steps, scanned_cost(node, f.cost))
                for name, f in block_families(node.op).items()
            }
            if node.reuses:
                families = {name: FamilyCost(f.steps, f.cost.reuse_cost) for name, f in families.items()}
        else:
            families = {node.op.family: FamilyCost(1, costs.node_cost(node, block))}
        if block.is_frozen(node.name) and not node.reuses:
            families = {name: FamilyCost(f.steps, f.cost.frozen_cost) for name, f in families.items()}
        return families

    def block_families(block: Block) -> dict[str, FamilyCost]:
        if block not in by_block:
            total: dict[str, FamilyCost] = {}
            for node in block.nodes:
                for name, family in node_families(node, block).items():
                    total[name] = total.get(name, FamilyCost()) + family
            by_block[block] = total
        return by_block[block]

    def sort_key(item: tuple[str, FamilyCost]) -> tuple[int, int, int, int, str]:
        name, family = item
        return -family.cost.macs, -family.cost.parameters, -family.cost.activations, -family.steps, name

    return dict(sorted(block_families(model).items(), key=sort_key))

"""What a model takes: parameters, multiply-adds, activations. From the graph alone; nothing is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Skip


@dataclass(frozen=True)
class Cost:
    """What one part of a model takes; the last two are for one sample and one forward pass."""

    parameters: int = 0  # numbers that are learned, or would be if they were not frozen
    buffers: int = 0  # numbers that are kept but not learned, such as running statistics
    macs: int = 0  # multiply-adds; elementwise work is not counted
    activations: int = 0  # numbers that its steps give: what training keeps at most
    frozen: int = 0  # of the parameters: those that an edit keeps from being trained

    @property
    def memory(self) -> int:
        """Bytes that the activations take where each is kept, as float32."""
        return 4 * self.activations

    @property
    def reuse_cost(self) -> Cost:
        """What it takes to be used once more, with the weights that are there."""
        return Cost(macs=self.macs, activations=self.activations)

    @property
    def frozen_cost(self) -> Cost:
        """The same with all of it frozen."""
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
        numbers = (self.parameters, self.buffers, self.macs, self.activations, self.frozen)
        return Cost(*(times * n for n in numbers))


class CostCounter:
    """The costs of every part of one model; a block instance that stands in many places is counted once."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[Block, Cost]] = {}  # holds the block, so that its id stays its own

    def block_cost(self, block: Block) -> Cost:
        """One instance of a block with all that is in it."""
        if id(block) not in self._blocks:
            total = sum((self.node_cost(node, block) for node in block.nodes), Cost())
            self._blocks[id(block)] = block, total
        return self._blocks[id(block)][1]

    def node_cost(self, node: Node, block: Block) -> Cost:
        """One step; the weights of a `reuse` are those of the step that it uses again, and counted there."""
        if isinstance(node.op, Skip):
            return Cost()
        if isinstance(node.op, Block):
            found = self.block_cost(node.op)
        else:
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            sizes = {True: 0, False: 0}
            for weight in node.op.weight_specs(*types).values():
                sizes[weight.trainable] += prod(concrete(n) for n in weight.axes.values())
            values = node.parts.values() or (node.type,)
            found = Cost(
                sizes[True],
                sizes[False],
                concrete(node.op.count_macs(*types)),
                sum(value.element_count for value in values if value.batched),
            )
        if node.reuses:
            return found.reuse_cost
        return found.frozen_cost if is_frozen_step(node, block) else found


def is_frozen_step(node: Node, block: Block) -> bool:
    """Whether a step is frozen by itself, or with a group that it is in."""
    return any(f"{node.name}.".startswith(f"{path}.") for path in block.frozen_paths)


def model_cost(model: Block) -> Cost:
    """The whole model."""
    return CostCounter().block_cost(model)


@dataclass(frozen=True)
class FamilyCost:
    """What the ops of one family take together; `steps` counts them, used again or not."""

    steps: int = 0
    cost: Cost = Cost()

    def __add__(self, other: FamilyCost) -> FamilyCost:
        return FamilyCost(self.steps + other.steps, self.cost + other.cost)


def family_costs(model: Block) -> dict[str, FamilyCost]:
    """What each family of ops takes in a model, that with the most work first."""
    costs = CostCounter()
    by_block: dict[int, dict[str, FamilyCost]] = {}

    def count_block(block: Block) -> dict[str, FamilyCost]:
        if id(block) not in by_block:
            found: dict[str, FamilyCost] = {}
            for node in block.nodes:
                if isinstance(node.op, Skip):
                    continue
                if isinstance(node.op, Block):
                    inside = count_block(node.op)
                    if node.reuses:
                        inside = {name: FamilyCost(s.steps, s.cost.reuse_cost) for name, s in inside.items()}
                else:
                    inside = {node.op.family: FamilyCost(1, costs.node_cost(node, block))}
                if is_frozen_step(node, block) and not node.reuses:
                    inside = {name: FamilyCost(s.steps, s.cost.frozen_cost) for name, s in inside.items()}
                for name, share in inside.items():
                    found[name] = found.get(name, FamilyCost()) + share
            by_block[id(block)] = found
        return by_block[id(block)]

    def sort_key(item: tuple[str, FamilyCost]) -> tuple[int, int, int, int, str]:
        name, share = item
        return -share.cost.macs, -share.cost.parameters, -share.cost.activations, -share.steps, name

    return dict(sorted(count_block(model).items(), key=sort_key))

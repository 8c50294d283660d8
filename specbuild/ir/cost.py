"""What a model takes: parameters, multiply-adds, activations. From the graph alone; nothing is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from specbuild.expressions import plain
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
    def again(self) -> Cost:
        """What it takes to be used once more, with the weights that are there."""
        return Cost(macs=self.macs, activations=self.activations)

    @property
    def still(self) -> Cost:
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


class Costs:
    """The costs of every part of one model; a block instance that stands in many places is counted once."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[Block, Cost]] = {}  # holds the block, so that its id stays its own

    def block(self, block: Block) -> Cost:
        """One instance of a block with all that is in it."""
        if id(block) not in self._blocks:
            total = sum((self.node(node, block) for node in block.nodes), Cost())
            self._blocks[id(block)] = block, total
        return self._blocks[id(block)][1]

    def node(self, node: Node, holder: Block) -> Cost:
        """One step; the weights of a `reuse` are those of the step that it uses again, and counted there."""
        if isinstance(node.op, Skip):
            return Cost()
        if isinstance(node.op, Block):
            found = self.block(node.op)
        else:
            types = [None if ref is None else holder.typed(ref) for ref in node.inputs]
            sizes = {True: 0, False: 0}
            for weight in node.op.weights(*types).values():
                sizes[weight.trained] += prod(plain(n) for n in weight.axes.values())
            values = node.parts.values() or (node.type,)
            found = Cost(
                sizes[True],
                sizes[False],
                plain(node.op.macs(*types)),
                sum(value.elements for value in values if value.batched),
            )
        if node.reuses:
            return found.again
        return found.still if still(node, holder) else found


def still(node: Node, holder: Block) -> bool:
    """Whether a step is frozen by itself, or with a group that it is in."""
    return any(f"{node.name}.".startswith(f"{path}.") for path in holder.frozen)


def cost(model: Block) -> Cost:
    """The whole model."""
    return Costs().block(model)


@dataclass(frozen=True)
class Share:
    """What the ops of one family take together; `steps` counts them, used again or not."""

    steps: int = 0
    cost: Cost = Cost()

    def __add__(self, other: Share) -> Share:
        return Share(self.steps + other.steps, self.cost + other.cost)


def families(model: Block) -> dict[str, Share]:
    """What each family of ops takes in a model, that with the most work first."""
    costs = Costs()
    made: dict[int, dict[str, Share]] = {}

    def visit(block: Block) -> dict[str, Share]:
        if id(block) not in made:
            found: dict[str, Share] = {}
            for node in block.nodes:
                if isinstance(node.op, Skip):
                    continue
                if isinstance(node.op, Block):
                    inside = visit(node.op)
                    if node.reuses:
                        inside = {name: Share(s.steps, s.cost.again) for name, s in inside.items()}
                else:
                    inside = {node.op.family: Share(1, costs.node(node, block))}
                if still(node, block) and not node.reuses:
                    inside = {name: Share(s.steps, s.cost.still) for name, s in inside.items()}
                for name, share in inside.items():
                    found[name] = found.get(name, Share()) + share
            made[id(block)] = found
        return made[id(block)]

    def weight(item: tuple[str, Share]) -> tuple[int, int, int, int, str]:
        name, share = item
        return -share.cost.macs, -share.cost.parameters, -share.cost.activations, -share.steps, name

    return dict(sorted(visit(model).items(), key=weight))

"""What a model takes: parameters, multiply-adds, activations. From the graph alone; nothing is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from specbuild.graph import Block, Node, Skip
from specbuild.words import plain


@dataclass(frozen=True)
class Cost:
    """What one part of a model takes; the last two are for one sample and one forward pass."""

    parameters: int = 0  # numbers that are learned
    buffers: int = 0  # numbers that are kept but not learned, such as running statistics
    macs: int = 0  # multiply-adds; elementwise work is not counted
    activations: int = 0  # numbers that its steps give: what training keeps at most

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.buffers + other.buffers,
            self.macs + other.macs,
            self.activations + other.activations,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(*(times * n for n in (self.parameters, self.buffers, self.macs, self.activations)))


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
                sum(value.elements for value in values),
            )
        return Cost(macs=found.macs, activations=found.activations) if node.reuses else found


def cost(model: Block) -> Cost:
    """The whole model."""
    return Costs().block(model)

"""The canonical weights of a model, without regard to any framework, read from its graph."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node
from specbuild.ops.base import Op
from specbuild.ops.weight_spec import WeightSpec


class CanonicalWeight(Struct, frozen=True):
    """A weight: `path` is its step's path and its own `name`, joined by a dot."""

    path: str
    name: str
    shape: tuple[int, ...]
    spec: WeightSpec

    @property
    def is_trainable(self) -> bool:
        return self.spec.is_trainable

    @property
    def decays(self) -> bool:
        return self.spec.decays


@lru_cache(maxsize=8)  # a conversion asks for them several times
def canonical_weights(model: Block) -> tuple[CanonicalWeight, ...]:
    """Return all weights of a model in graph order; a reused layer counts once."""

    def visit_weights(block: Block, path: tuple[str, ...]) -> Iterator[CanonicalWeight]:
        for node in block.nodes:
            if node.reuses is None and isinstance(node.op, Block):
                yield from visit_weights(node.op, (*path, node.name))
            elif node.reuses is None:
                yield from node_weights(node, block, path)

    return tuple(visit_weights(model, ()))


def node_weights(node: Node, block: Block, path: tuple[str, ...]) -> Iterator[CanonicalWeight]:
    """Yield the weights of one op in a block; `path` is the path of the block."""
    if not isinstance(node.op, Op):
        return
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    for name, weight in node.op.weight_specs(*types).items():
        shape = tuple(concrete(size) for size in weight.axes.values())
        yield CanonicalWeight(".".join((*path, node.name, name)), name, shape, weight)

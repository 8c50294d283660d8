"""A block while it is being elaborated: its names, its nodes so far, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.axes import Tensor
from specbuild.graph import Block, Group, Node, Ref
from specbuild.source import At
from specbuild.spec import BlockDef
from specbuild.words import translate


@dataclass
class Frame:
    """A block while it is being elaborated."""

    definition: BlockDef
    env: dict[str, Any]
    inputs: dict[str, Tensor]
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    scopes: list[dict[str, Ref]] = field(default_factory=list)  # names in reach, innermost last
    prefix: str = ""  # of the group being filled
    last: Ref | None = None
    steps: int = 0

    def typed(self, ref: Ref) -> Tensor:
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes[name]
        if not output:
            return node.type
        if not isinstance(node.op, Block):
            return node.parts[output]
        return told_outside(node.op.outputs[output].type, node.args)


@dataclass(frozen=True)
class Argument:
    """The value of a parameter as written, and the scope that its names are of; None: the parameters before it."""

    raw: Any
    at: At
    env: Mapping[str, Any] | None = None


def told_outside(x: Tensor, args: Mapping[str, Any]) -> Tensor:
    """A type from inside a block instance, its sizes in the words of the block around it."""
    return Tensor({axis: translate(size, args) for axis, size in x.sizes.items()}, x.dtype, x.batched)

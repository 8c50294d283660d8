"""A block while it is being elaborated: its names, its nodes so far, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.elaborate.pending_edits import PendingEdits
from specbuild.expressions import translate_expression
from specbuild.frontend.document import BlockDef
from specbuild.frontend.edits import EditDef
from specbuild.ir.graph import Block, Group, Node, Ref
from specbuild.ops.types import TensorType


@dataclass
class BlockScope:
    """A block while it is being elaborated."""

    definition: BlockDef
    env: dict[str, Any]
    inputs: dict[str, TensorType]
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    scopes: list[dict[str, Ref]] = field(default_factory=list)  # names in reach, innermost last
    prefix: str = ""  # of the group being filled
    last: Ref | None = None
    step_count: int = 0
    pending: PendingEdits = field(
        default_factory=PendingEdits
    )  # edits that may meet the steps of the group being filled
    pending_inside: dict[str, PendingEdits] = field(
        default_factory=dict
    )  # those that may meet steps inside a block's instance
    applied_edits: list[tuple[EditDef, str]] = field(
        default_factory=list
    )  # edits with the paths of steps they were about
    frozen_paths: list[str] = field(default_factory=list)  # paths of what is not trained
    moved_values: dict[str, Ref] = field(
        default_factory=dict
    )  # paths whose readers an edit gave another value

    def value_type(self, ref: Ref) -> TensorType:
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes[name]
        if not output:
            return node.type
        if not isinstance(node.op, Block):
            return node.parts[output]
        return outer_type(node.op.outputs[output].type, node.args)


def outer_type(x: TensorType, args: Mapping[str, Any]) -> TensorType:
    """A type from inside a block instance, its sizes in the words of the block around it."""
    return TensorType(
        {axis: translate_expression(size, args) for axis, size in x.sizes.items()}, x.dtype, x.batched
    )

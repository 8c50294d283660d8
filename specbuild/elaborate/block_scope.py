"""The scope of a block during elaboration: its names, its nodes so far, and its pending edits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from specbuild.elaborate.pending_edits import PendingEdits
from specbuild.frontend.document import BlockDef
from specbuild.frontend.edits import EditDef
from specbuild.ir.graph import Group, Node, Ref, node_output_type
from specbuild.ops.types import TensorType


@dataclass
class BlockScope:
    """The state of one block instance during elaboration."""

    definition: BlockDef
    env: dict[str, Any]  # the values of names in expressions
    inputs: dict[str, TensorType]
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    # The fields from here to `pending` belong to the group that is being elaborated.
    # `visible_names` has the names in each enclosing group, innermost last.
    visible_names: list[dict[str, Ref]] = field(default_factory=list)
    prefix: str = ""  # its path, with a dot at the end
    last: Ref | None = None  # the result of the step before
    pending: PendingEdits = field(default_factory=PendingEdits)  # edits that may match its steps
    step_count: int = 0
    # Path of a step -> the edits that may match steps inside it.
    pending_inside: dict[str, PendingEdits] = field(default_factory=dict)
    applied_edits: list[tuple[EditDef, str]] = field(default_factory=list)  # each with the path of a step
    frozen_paths: list[str] = field(default_factory=list)  # steps and groups that are not trained
    # Path of a step that edits remove or insert after -> the value that later steps read instead.
    moved_values: dict[str, Ref] = field(default_factory=dict)

    def value_type(self, ref: Ref) -> TensorType:
        """Return the type of a value in this block."""
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes[name]
        return node_output_type(node, output) if output else node.type

    @contextmanager
    def enter_group(self, path: str) -> Iterator[None]:
        """While this context is open, new steps belong to the group at `path`."""
        outer, self.prefix = self.prefix, path + "."
        self.visible_names.append({})
        yield
        self.visible_names.pop()
        self.prefix = outer

"""Compares the instances of one kind of block: which steps they share, and where they differ."""

from __future__ import annotations

from specbuild.diagram.captions import AxisSizes, format_axis_sizes
from specbuild.diagram.view_model import BlockKind, StepScope
from specbuild.ir.graph import Node, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType

SOME_INSTANCES = "in some instances"  # shown where the spec gives no condition


class KindInstances:
    """The instances of one kind of block. `scope` is the one that is drawn: it has the most steps."""

    def __init__(self, kind: BlockKind) -> None:
        self.scopes = kind.scopes
        self.marks = kind.marks
        self.free_sizes = kind.free_sizes
        self.scope = kind.fullest_scope
        self.node_tables = [{s.local_name(n): n for n in s.nodes} for s in self.scopes]

    def describe_value(self, ref: str, x: TensorType) -> str:
        """Return the type of a value of the instance that is drawn, with a star at each size that can be any."""
        return x.describe(self.free_sizes.axes_of(self.scope.block, ref))

    def nodes_by_name(self, scope: StepScope) -> dict[str, Node]:
        """Return the steps of one instance, by their names in it."""
        return next(nodes for s, nodes in zip(self.scopes, self.node_tables, strict=True) if s is scope)

    def matching_nodes(self, node: Node) -> list[tuple[Node, StepScope]]:
        """Return the same step in every instance that has it, `node` itself first."""
        name = self.scope.local_name(node)
        matches = [(node, self.scope)]
        for scope, nodes in zip(self.scopes, self.node_tables, strict=True):
            other = nodes.get(name)
            if scope is not self.scope and other is not None and type(other.op) is type(node.op):
                matches.append((other, scope))
        return matches

    def step_condition(self, node: Node) -> str | None:
        """Return the condition of a step that some instances lack; None if all have it."""
        if len(self.scopes) == 1:
            return None
        name = self.scope.local_name(node)
        if all(name in nodes and not isinstance(nodes[name].op, Skip) for nodes in self.node_tables):
            return None
        groups = self.scope.block.groups
        group = next((g for g in groups if node.name.startswith(g + ".") and groups[g].when), None)
        when = node.when or (groups[group].when if group else None)
        return SOME_INSTANCES if when is None else when.text

    def changed_sizes(self, first: str, last: list[tuple[Node, StepScope]]) -> AxisSizes:
        """Return the sizes of a box's output if they differ from those of its input, else ().

        `first` is the name of the first step in the box, `last` its last step in each instance. For an op
        with any number of inputs, one input with the same sizes is enough: the others are broadcast to it.
        """
        same_sizes = []
        for node, scope in last:
            first_node = self.nodes_by_name(scope).get(first)
            refs = [] if first_node is None else [r for r in first_node.inputs if r is not None]
            if not (isinstance(node.op, Op) and node.op.input_specs and node.op.input_specs[0].variadic):
                refs = refs[:1]
            same_sizes.append(any(scope.block.value_type(r).has_same_sizes(node.type) for r in refs))
        marks = [self.marks.mark_of(s.block, n.name) for n, s in last]
        if all(same_sizes) and not any(mark.change == "changed" and mark.old_type for mark in marks):
            return ()
        old_types = [mark.old_type or n.type for mark, (n, _) in zip(marks, last, strict=True)]
        free = {axis for node, scope in last for axis in self.free_sizes.axes_of(scope.block, node.name)}
        sizes = format_axis_sizes([node.type for node, _ in last], old_types, free)
        return tuple((axis, size) for axis, size in sizes if size)

    @staticmethod
    def group_length(scope: StepScope, group: str) -> int:
        """Return how many members a group has in one instance."""
        prefix = group + "."
        paths = (scope.local_name(node) for node in scope.nodes)
        return len({path[len(prefix) :].partition(".")[0] for path in paths if path.startswith(prefix)})

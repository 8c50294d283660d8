"""All instances of one block side by side: which steps they share, and where they differ."""

from __future__ import annotations

from specbuild.diagram import captions as caption
from specbuild.diagram.view_model import BlockKind, StepScope
from specbuild.ir.graph import Node, Skip
from specbuild.ops.base import Op

SOME_INSTANCES = "in some only"  # a condition that nobody wrote


class BlockInstances:
    """The instances of one kind; `scope` is the fullest of them, which is drawn."""

    def __init__(self, kind: BlockKind) -> None:
        self.scopes = kind.scopes
        self.marks = kind.marks
        self.scope = kind.fullest_scope
        self.node_tables = [{s.local_name(n): n for n in s.nodes} for s in self.scopes]

    def nodes_by_name(self, scope: StepScope) -> dict[str, Node]:
        """The steps of one instance by name."""
        return next(nodes for s, nodes in zip(self.scopes, self.node_tables, strict=True) if s is scope)

    def matching_nodes(self, node: Node) -> list[tuple[Node, StepScope]]:
        """The same step in every instance that has it, this one first."""
        name = self.scope.local_name(node)
        matches = [(node, self.scope)]
        for scope, nodes in zip(self.scopes, self.node_tables, strict=True):
            other = nodes.get(name)
            if scope is not self.scope and other is not None and type(other.op) is type(node.op):
                matches.append((other, scope))
        return matches

    def step_condition(self, node: Node) -> str | None:
        """Why a step is not in every instance; None if it is."""
        if len(self.scopes) == 1:
            return None
        name = self.scope.local_name(node)
        if all(name in nodes and not isinstance(nodes[name].op, Skip) for nodes in self.node_tables):
            return None
        groups = self.scope.block.groups
        group = next((g for g in groups if node.name.startswith(g + ".") and groups[g].when), None)
        return node.when or (groups[group].when if group else None) or SOME_INSTANCES

    def changed_sizes(self, first: str, last: list[tuple[Node, StepScope]]) -> caption.AxisSizes:
        """The sizes that come out of a box, if they are not those of what it is applied to.

        Of several values that meet, one alike is enough: the others are spread over it.
        """
        same_sizes = []
        for node, scope in last:
            into = self.nodes_by_name(scope).get(first)
            refs = [] if into is None else [r for r in into.inputs if r is not None]
            if not (isinstance(node.op, Op) and node.op.input_specs and node.op.input_specs[0].variadic):
                refs = refs[:1]
            same_sizes.append(any(scope.block.value_type(r).has_same_sizes(node.type) for r in refs))
        marks = [self.marks.mark_of(s.block, n.name) for n, s in last]
        if all(same_sizes) and not any(mark.change == "changed" and mark.old_type for mark in marks):
            return ()
        before = [mark.old_type or n.type for mark, (n, _) in zip(marks, last, strict=True)]
        return tuple((a, n) for a, n in caption.format_axis_sizes([n.type for n, _ in last], before) if n)

    @staticmethod
    def group_length(scope: StepScope, group: str) -> int:
        prefix = group + "."
        return len(
            {
                scope.local_name(n)[len(prefix) :].partition(".")[0]
                for n in scope.nodes
                if scope.local_name(n).startswith(prefix)
            }
        )

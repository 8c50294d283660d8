"""All instances of one block side by side: which steps they share, and where they differ."""

from __future__ import annotations

from specbuild.diagram import captions as caption
from specbuild.diagram.view import Kind, Scope
from specbuild.ir.graph import Node, Skip
from specbuild.ops.base import Op

SOME = "in some only"  # a condition that nobody wrote


class Instances:
    """The instances of one kind; `scope` is the fullest of them, which is drawn."""

    def __init__(self, kind: Kind) -> None:
        self.scopes = kind.scopes
        self.marks = kind.marks
        self.scope = kind.fullest
        self.found = [{s.name(n): n for n in s.nodes} for s in self.scopes]

    def nodes(self, scope: Scope) -> dict[str, Node]:
        """The steps of one instance by name."""
        return next(nodes for s, nodes in zip(self.scopes, self.found, strict=True) if s is scope)

    def alike(self, node: Node) -> list[tuple[Node, Scope]]:
        """The same step in every instance that has it, this one first."""
        name = self.scope.name(node)
        found = [(node, self.scope)]
        for scope, nodes in zip(self.scopes, self.found, strict=True):
            other = nodes.get(name)
            if scope is not self.scope and other is not None and type(other.op) is type(node.op):
                found.append((other, scope))
        return found

    def condition(self, node: Node) -> str | None:
        """Why a step is not in every instance; None if it is."""
        if len(self.scopes) == 1:
            return None
        name = self.scope.name(node)
        if all(name in nodes and not isinstance(nodes[name].op, Skip) for nodes in self.found):
            return None
        groups = self.scope.holder.groups
        group = next((g for g in groups if node.name.startswith(g + ".") and groups[g].when), None)
        return node.when or (groups[group].when if group else None) or SOME

    def changed(self, first: str, last: list[tuple[Node, Scope]]) -> caption.Axes:
        """The sizes that come out of a box, if they are not those of what it is applied to.

        Of several values that meet, one alike is enough: the others are spread over it.
        """
        kept = []
        for node, scope in last:
            into = self.nodes(scope).get(first)
            refs = [] if into is None else [r for r in into.inputs if r is not None]
            if not (isinstance(node.op, Op) and node.op.takes and node.op.takes[0].many):
                refs = refs[:1]
            kept.append(any(scope.holder.typed(r).same_sizes(node.type) for r in refs))
        marks = [self.marks.of(s.holder, n.name) for n, s in last]
        if all(kept) and not any(mark.sort == "changed" and mark.was for mark in marks):
            return ()
        before = [mark.was or n.type for mark, (n, _) in zip(marks, last, strict=True)]
        return tuple((a, n) for a, n in caption.sizes([n.type for n, _ in last], before) if n)

    @staticmethod
    def length(scope: Scope, group: str) -> int:
        prefix = group + "."
        return len(
            {
                scope.name(n)[len(prefix) :].partition(".")[0]
                for n in scope.nodes
                if scope.name(n).startswith(prefix)
            }
        )

"""Which steps of a block go together: the members of a repeat, and members of a group that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.diagram.instance_differences import BlockInstances
from specbuild.diagram.view_model import BlockKind, StepScope
from specbuild.ir.graph import Block, Node, Ref, Skip


@dataclass
class StepGroup:
    """Steps that become one box, in order; `repeat` for members of a repeat."""

    name: str
    nodes: list[Node]
    members: list[list[Node]]  # the members, if it is a repeat

    @property
    def first_node(self) -> Node:
        return self.nodes[0]


class StepGrouping(BlockInstances):
    """The steps of one kind in units, and who reads what."""

    def __init__(self, kind: BlockKind) -> None:
        super().__init__(kind)
        self.skip_sources: dict[Ref, Ref] = {}  # a step whose `when` did not hold: what it passes on
        self.readers: Counter[str] = Counter()
        self.count_readers()

    def split_steps(self) -> Iterator[StepGroup]:
        """Steps one by one, and the members of each repeat together."""
        groups = self.scope.block.groups
        current: StepGroup | None = None
        for node in self.scope.nodes:
            group = next(
                (
                    g
                    for g in sorted(groups, key=len)
                    if groups[g].length is not None
                    and len(g) >= self.scope.prefix_length
                    and node.name.startswith(g + ".")
                ),
                None,
            )
            if group is None and current is not None and self.continues_group(current, node):
                current.members.append([node])
                current.nodes.append(node)
                continue
            if group is None:
                if current is not None:
                    yield current
                current = StepGroup(node.name, [node], [[node]])
                continue
            if current is None or current.name != group:
                if current is not None:
                    yield current
                current = StepGroup(group, [], [])
            index = node.name[len(group) + 1 :].partition(".")[0]
            if not current.members or self.member_index(current, current.members[-1][0]) != index:
                current.members.append([])
            current.members[-1].append(node)
            current.nodes.append(node)
        if current is not None:
            yield current

    def continues_group(self, current: StepGroup, node: Node) -> bool:
        """Whether a member of a group is just as the one before it, which only it reads."""
        last = current.nodes[-1]
        group, dot, _ = node.name.rpartition(".")
        return (
            current.name not in self.scope.block.groups
            and isinstance(node.op, Block)
            and node.op is last.op
            and node.inputs == (last.name,)
            and self.readers[last.name] == 1
            and bool(dot)
            and group == last.name.rpartition(".")[0]
            and not node.reuses
        )

    @staticmethod
    def member_index(unit: StepGroup, node: Node) -> str:
        return node.name[len(unit.name) + 1 :].partition(".")[0]

    def count_readers(self) -> None:
        for node in self.scope.nodes:
            for ref in node.inputs:
                if ref is not None:
                    self.readers[self.resolve_skips(ref)] += 1
            if isinstance(node.op, Skip) and node.inputs and node.inputs[0] is not None:
                self.skip_sources[node.name] = node.inputs[0]
                self.readers[self.resolve_skips(node.inputs[0])] -= 1
        for ref in self.scope.outputs.values():
            self.readers[self.resolve_skips(ref)] += 1

    def resolve_skips(self, ref: Ref) -> Ref:
        while ref in self.skip_sources:
            ref = self.skip_sources[ref]
        return ref

    def member_scope(self, unit: StepGroup, nodes: list[Node], index: int) -> StepScope:
        """One member of a repeated group, as something to draw: what it reads from outside comes in."""
        holder = self.scope.block
        strip = len(unit.name) + 1 + len(str(index)) + 1
        inside = {n.name for n in nodes}
        refs = [r for n in nodes for r in n.inputs if r is not None and r.partition("@")[0] not in inside]
        inputs = {r: holder.value_type(r) for r in dict.fromkeys(refs)}
        names = {r: "x" if i == 0 else r.rpartition(".")[2] for i, r in enumerate(inputs)}
        return StepScope(holder, tuple(nodes), inputs, {"": nodes[-1].name}, strip, names)


def format_span(first: str, last: str) -> str:
    """`features.8–10` for members of one group."""
    return f"{first}–{last.rpartition('.')[2]}"

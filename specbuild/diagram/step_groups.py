"""Which steps of a block go together: the members of a repeat, and members of a group that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.diagram.instance_differences import Instances
from specbuild.diagram.view import Kind, Scope
from specbuild.ir.graph import Block, Node, Ref, Skip


@dataclass
class Unit:
    """Steps that become one box, in order; `repeat` for members of a repeat."""

    name: str
    nodes: list[Node]
    repeat: list[list[Node]]  # the members, if it is a repeat

    @property
    def first(self) -> Node:
        return self.nodes[0]


class Grouping(Instances):
    """The steps of one kind in units, and who reads what."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.skipped: dict[Ref, Ref] = {}  # a step whose `when` did not hold: what it passes on
        self.readers: Counter[str] = Counter()
        self.count_readers()

    def units(self) -> Iterator[Unit]:
        """Steps one by one, and the members of each repeat together."""
        groups = self.scope.holder.groups
        held: Unit | None = None
        for node in self.scope.nodes:
            group = next(
                (
                    g
                    for g in sorted(groups, key=len)
                    if groups[g].length is not None
                    and len(g) >= self.scope.strip
                    and node.name.startswith(g + ".")
                ),
                None,
            )
            if group is None and held is not None and self.continues(held, node):
                held.repeat.append([node])
                held.nodes.append(node)
                continue
            if group is None:
                if held is not None:
                    yield held
                held = Unit(node.name, [node], [[node]])
                continue
            if held is None or held.name != group:
                if held is not None:
                    yield held
                held = Unit(group, [], [])
            index = node.name[len(group) + 1 :].partition(".")[0]
            if not held.repeat or self.index(held, held.repeat[-1][0]) != index:
                held.repeat.append([])
            held.repeat[-1].append(node)
            held.nodes.append(node)
        if held is not None:
            yield held

    def continues(self, held: Unit, node: Node) -> bool:
        """Whether a member of a group is just as the one before it, which only it reads."""
        last = held.nodes[-1]
        group, dot, _ = node.name.rpartition(".")
        return (
            held.name not in self.scope.holder.groups
            and isinstance(node.op, Block)
            and node.op is last.op
            and node.inputs == (last.name,)
            and self.readers[last.name] == 1
            and bool(dot)
            and group == last.name.rpartition(".")[0]
            and not node.reuses
        )

    @staticmethod
    def index(unit: Unit, node: Node) -> str:
        return node.name[len(unit.name) + 1 :].partition(".")[0]

    def count_readers(self) -> None:
        for node in self.scope.nodes:
            for ref in node.inputs:
                if ref is not None:
                    self.readers[self.resolved(ref)] += 1
            if isinstance(node.op, Skip) and node.inputs and node.inputs[0] is not None:
                self.skipped[node.name] = node.inputs[0]
                self.readers[self.resolved(node.inputs[0])] -= 1
        for ref in self.scope.outputs.values():
            self.readers[self.resolved(ref)] += 1

    def resolved(self, ref: Ref) -> Ref:
        while ref in self.skipped:
            ref = self.skipped[ref]
        return ref

    def part(self, unit: Unit, nodes: list[Node], index: int) -> Scope:
        """One member of a repeated group, as something to draw: what it reads from outside comes in."""
        holder = self.scope.holder
        strip = len(unit.name) + 1 + len(str(index)) + 1
        inside = {n.name for n in nodes}
        refs = [r for n in nodes for r in n.inputs if r is not None and r.partition("@")[0] not in inside]
        inputs = {r: holder.typed(r) for r in dict.fromkeys(refs)}
        names = {r: "x" if i == 0 else r.rpartition(".")[2] for i, r in enumerate(inputs)}
        return Scope(holder, tuple(nodes), inputs, {"": nodes[-1].name}, strip, names)


def span(first: str, last: str) -> str:
    """`features.8–10` for members of one group."""
    return f"{first}–{last.rpartition('.')[2]}"

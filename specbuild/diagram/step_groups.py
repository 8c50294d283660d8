"""Groups the steps of a block: a repeat and a run of equal blocks become one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from specbuild.diagram.instance_differences import KindInstances
from specbuild.diagram.view_model import BlockKind, StepScope
from specbuild.ir.graph import Block, Node, Ref, Skip


class StepGroup(Struct):
    """Steps that become one box, in order. A single step is one member."""

    name: str
    nodes: list[Node]
    members: list[list[Node]]  # the steps of each member of a repeat

    @property
    def first_node(self) -> Node:
        return self.nodes[0]


class StepGrouping(KindInstances):
    """The steps of one kind of block in groups, and how many steps read each value."""

    def __init__(self, kind: BlockKind) -> None:
        super().__init__(kind)
        # for a step whose `when` is false: the value that it passes on
        self.skip_sources: dict[Ref, Ref] = {}
        self.readers: Counter[str] = Counter()
        self.count_readers()

    def split_steps(self) -> Iterator[StepGroup]:
        """Yield each step as a group of its own, the members of a repeat as one group."""
        current: StepGroup | None = None
        for node in self.scope.nodes:
            repeat = self.repeat_of(node)
            if repeat is None and current is not None and self.continues_group(current, node):
                current.members.append([node])
                current.nodes.append(node)
                continue
            if repeat is None or current is None or current.name != repeat:
                if current is not None:
                    yield current
                current = StepGroup(repeat or node.name, [], [])
            first_of_last = current.members[-1][0] if current.members else None
            if first_of_last is None or member_index(current, first_of_last) != member_index(current, node):
                current.members.append([])
            current.members[-1].append(node)
            current.nodes.append(node)
        if current is not None:
            yield current

    def repeat_of(self, node: Node) -> str | None:
        """Return the outermost repeat in this scope that contains a step."""
        groups = self.scope.block.groups
        for name in enclosing_groups(node.name):
            if name in groups and groups[name].length is not None and len(name) >= self.scope.prefix_length:
                return name
        return None

    def continues_group(self, current: StepGroup, node: Node) -> bool:
        """Return whether a step is the same block as the one before it, whose value only this step reads."""
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
            and node.row in (None, last.row)
            and node.row != "new"
        )

    def count_readers(self) -> None:
        """Count the steps and outputs that read each value, past skipped steps."""
        for node in self.scope.nodes:
            for ref in node.inputs:
                if ref is not None:
                    self.readers[self.resolve_skips(ref)] += 1
            if isinstance(node.op, Skip) and node.inputs and node.inputs[0] is not None:
                source = self.skip_sources[node.name] = self.resolve_skips(node.inputs[0])
                self.readers[source] -= 1
        for ref in self.scope.outputs.values():
            self.readers[self.resolve_skips(ref)] += 1

    def resolve_skips(self, ref: Ref) -> Ref:
        """Return the value behind a reference, past skipped steps."""
        while ref in self.skip_sources:
            ref = self.skip_sources[ref]
        return ref

    def member_scope(self, group: StepGroup, nodes: list[Node], index: int) -> StepScope:
        """Return one member of a repeat as a scope. What it reads from outside becomes its inputs."""
        block = self.scope.block
        prefix_length = len(group.name) + 1 + len(str(index)) + 1
        inside = {n.name for n in nodes}
        refs = [r for n in nodes for r in n.inputs if r is not None and r.partition("@")[0] not in inside]
        inputs = {r: block.value_type(r) for r in dict.fromkeys(refs)}
        names = {r: "x" if i == 0 else r.rpartition(".")[2] for i, r in enumerate(inputs)}
        return StepScope(block, tuple(nodes), inputs, {"": nodes[-1].name}, prefix_length, names)


def enclosing_groups(path: str) -> list[str]:
    """Return the groups that contain a path, the outermost first: `a` and `a.0` for `a.0.conv`."""
    parts = path.split(".")[:-1]
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def member_index(group: StepGroup, node: Node) -> str:
    """Return the number of the member that a step of a repeat belongs to."""
    return node.name[len(group.name) + 1 :].partition(".")[0]


def format_span(first: str, last: str) -> str:
    """Return `features.8–10` for the first and last of several members."""
    return f"{first}–{last.rpartition('.')[2]}"

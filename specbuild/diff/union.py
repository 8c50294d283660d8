"""Two models as one graph, for a picture of both: the new one, with what it lost where that stood."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from specbuild.diagram.diff_marks import Count, Mark, Marks, Note, Sort
from specbuild.diff.compare import Change, Comparison
from specbuild.diff.fold import Line, Places, fold
from specbuild.diff.joint_graph import Joint, axes, former
from specbuild.diff.pair_blocks import Pairing, Place, definition
from specbuild.ir.cost import Costs
from specbuild.ir.graph import Block, Node, Skip

Taken = tuple[int, int]


class Union:
    """Makes the graph, and what is to be said of its steps."""

    def __init__(self, diff: Comparison) -> None:
        self.diff, self.pairing = diff, Pairing(diff)
        self.marks = Marks(folded=self.folded)
        self._costs_before, self._costs = Costs(), Costs()
        self._counts: dict[int, Count] = {}
        self._takes: dict[tuple[int, str], Taken] = {}
        self._made: dict[Hashable, Block] = {}
        self._places = Places(diff.after.steps)
        self.model = self.united(diff.before.model, diff.after.model, "", "")

    def costs(self, node: Node, holder: Block) -> Taken:
        """Parameters and multiply-adds of a step of the picture: those that it has, or had when it was there."""
        known = self._takes.get((id(holder), node.name))
        return known if known is not None else taken(self._costs, node, holder)

    def folded(self, paths: Iterable[str]) -> str:
        """Paths in short: `layer1.*`."""
        return ", ".join(line.path for line in fold([Line("", path) for path in paths], self._places))

    def united(self, old: Block, new: Block, was: str | None, now: str) -> Block:
        """One block with what is in either instance; the new one itself if nothing is to be said of it."""
        joint = Joint(self.pairing, old, new, was, now)
        takes: dict[str, Taken] = {}
        lost = [self.no_longer(joint, name, node, takes) for name, node in joint.lost.items()]
        kept = [self.now_there(joint, node, takes) for node in new.nodes]
        nodes = joint.wired(kept, lost)
        outputs = joint.outputs()
        same = all(a.op is b.op for a, b in zip(kept, new.nodes, strict=True))
        if same and not joint.marks:
            return new
        groups = {name: group for name, group in old.groups.items() if name not in new.groups}
        made = replace(
            new, inputs=joint.inputs, nodes=tuple(nodes), outputs=outputs, groups={**groups, **new.groups}
        )
        said = tuple((name, repr(mark)) for name, mark in joint.marks.items())
        made = self.interned((id(old), id(new), said, tuple(id(n.op) for n in nodes)), made, joint, takes)
        self.marks.paths.setdefault(id(made), []).append(now)
        return made

    def interned(self, key: Hashable, block: Block, joint: Joint, takes: dict[str, Taken]) -> Block:
        """One object for all instances of which the same is to be said."""
        if key not in self._made:
            self._made[key] = block
            self.marks.held.append(block)
            self.marks.found |= {(id(block), name): mark for name, mark in joint.marks.items()}
            self._takes |= {(id(block), name): cost for name, cost in takes.items()}
            counts = (joint.marks[n.name].count for n in block.nodes if n.name in joint.marks)
            self._counts[id(block)] = sum(counts, Count())
        return self._made[key]

    # -- steps

    def now_there(self, joint: Joint, node: Node, takes: dict[str, Taken]) -> Node:
        """A step of the new model, with what it was."""
        path = f"{joint.above}{node.name}"
        if isinstance(node.op, Skip):
            return node
        takes[node.name] = taken(self._costs, node, joint.new)
        was = self.pairing.before(path, node)
        if was is None:
            return self.come(joint, node, path)
        changes = [*self.diff.changed.get(path, ()), *self.diff.blocks.get(path, ())]
        notes = [told for change in changes for told in noted(change)]
        op, count = node.op, Count(changed=int(bool(notes)))
        if isinstance(op, Block) and isinstance(was.node.op, Block):
            op, count = self.inside(was, op, path)
        sort: Sort = "changed" if notes else "inside" if isinstance(op, Block) and self.marks.form(op) else ""
        if moved(joint, was, node, self.diff.renamed):
            word = "was" if was.holder is joint.old else "moved from"
            notes.append(Note(word, shortly(joint, was.path), ""))
            sort = "changed" if sort == "changed" else "renamed"
        if sort == "changed":
            notes += axes(was.node.type, node.type)
        took = taken(self._costs_before, was.node, was.holder)
        other = took if took != takes[node.name] else None
        joint.mark(node.name, Mark(sort, tuple(notes), count, former(was.node.type, node.type), other))
        return replace(node, op=op)

    def inside(self, was: Place, block: Block, path: str) -> tuple[Block, Count]:
        """A block that both have; one that has nothing of what it was is not looked into."""
        assert isinstance(was.node.op, Block)
        if path in self.pairing.sharing or was.node.op.kind == block.kind:
            block = self.united(was.node.op, block, was.path, path)
            return block, self._counts.get(id(block), Count())
        return block, Count(self.pairing.steps_now[path], self.pairing.steps_before[was.path])

    def come(self, joint: Joint, node: Node, path: str) -> Node:
        """A step that the old model has not."""
        if not isinstance(node.op, Block):
            joint.mark(node.name, Mark("added", count=Count(1)))
            return node
        if path not in self.pairing.moved_in:
            fresh = definition(node.op) not in self.pairing.known
            joint.mark(
                node.name, Mark("added", count=Count(self.pairing.steps_now.get(path, 0)), fresh=fresh)
            )
            return node
        nothing = replace(node.op, inputs={}, nodes=(), groups={}, outputs={})
        block = self.united(nothing, node.op, None, path)
        notes = (Note("around steps that were there", "", ""),)
        joint.mark(node.name, Mark("renamed", notes, self._counts.get(id(block), Count())))
        return replace(node, op=block)

    def no_longer(self, joint: Joint, name: str, node: Node, takes: dict[str, Taken]) -> Node:
        """A step that the new model has not."""
        takes[name] = taken(self._costs_before, node, joint.old)
        if not isinstance(node.op, Block):
            joint.mark(name, Mark("removed", count=Count(0, 1)))
        else:
            path = f"{joint.above_before}{node.name}"
            steps, gone = (side.get(path, 0) for side in (self.pairing.steps_before, self.pairing.gone))
            notes = (Note(f"{steps - gone} of its {steps} steps are elsewhere now", "", ""),) * (gone < steps)
            fresh = definition(node.op) not in self.pairing.known
            joint.mark(name, Mark("removed", notes, Count(0, gone), fresh=fresh))
        return replace(node, name=name, reuses=joint.names.get(node.reuses) if node.reuses else None)


def moved(joint: Joint, was: Place, node: Node, renamed: dict[str, str]) -> bool:
    """Whether a step has another name here, or was elsewhere, and that is to be told."""
    if joint.above_before is not None and was.path == f"{joint.above_before}{node.name}":
        return False
    return isinstance(node.op, Block) or was.path in renamed


def shortly(joint: Joint, path: str) -> str:
    """A path of the old model, as seen from here."""
    return path.removeprefix(joint.above_before or "")


def noted(change: Change) -> Iterator[Note]:
    """What is told of a change: of a mapping, what is otherwise in it."""
    was, now = entries(change.before), entries(change.after)
    if was and now and was.keys() == now.keys():
        for key, value in now.items():
            if was[key] != value:
                yield Note(f"{change.what} {key}", was[key], value)
        return
    yield Note("" if change.what in ("op", "block") else change.what, change.before, change.after)


def entries(text: str) -> dict[str, str]:
    """A flat mapping as its author writes it; empty for anything else."""
    inner = text[1:-1]
    if not (text.startswith("{") and text.endswith("}")) or any(c in inner for c in "{}[]("):
        return {}
    pairs = [item.partition(": ") for item in inner.split(", ")]
    return {key: value for key, _, value in pairs}


def taken(costs: Costs, node: Node, holder: Block) -> Taken:
    found = costs.node(node, holder)
    return found.parameters, found.macs

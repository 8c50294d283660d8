"""Which step, and which block, of one model is which of the other: looked up by path, in both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from specbuild.diff.compare import Comparison, instances
from specbuild.diff.flatten import prefixes
from specbuild.diff.renames import counts
from specbuild.ir.graph import Block, Node


@dataclass(frozen=True)
class Place:
    """A step where it stands: its path in the whole model, and the block that holds it."""

    path: str
    node: Node
    holder: Block


class Pairing:
    """What is known of both models when they are drawn as one."""

    def __init__(self, diff: Comparison) -> None:
        self.diff, self.matching = diff, diff.matching
        self.old, self.new = tree(diff.before.model), tree(diff.after.model)
        self.kept = self.containers()  # blocks: path now -> path before
        self.back = {was: now for now, was in self.kept.items()}
        self.steps_before, self.steps_now = counts(diff.before.steps), counts(diff.after.steps)
        self.gone = Counter(around for step in diff.removed for around in self.lost_with(step.path))
        # Blocks that hold a step which the old model had; those that hold one which they had themselves.
        self.moved_in = {around for path in self.matching.old for around in prefixes(path)}
        self.sharing = {
            around
            for now, was in self.matching.old.items()
            for around in prefixes(now)
            if was.startswith(f"{self.kept.get(around, around)}.")
        }
        # Blocks that both models have instances of, or that took the place of one.
        both = (
            {definition(p.node.op) for p in side.values() if isinstance(p.node.op, Block)}
            for side in (self.old, self.new)
        )
        self.known = set.intersection(*both)
        for now, was in self.kept.items():
            self.known |= {
                definition(op)
                for op in (self.new[now].node.op, self.old[was].node.op)
                if isinstance(op, Block)
            }

    def containers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        used: set[str] = set()
        for was, now in instances(self.diff):
            if was.path not in used:
                found[now.path] = was.path
                used.add(was.path)
        return found

    def lost_with(self, path: str) -> list[str]:
        """The blocks and groups around a removed step, up to the first that the new model has, wherever that stands."""
        around = list(prefixes(path))
        kept = max((i for i, outer in enumerate(around) if outer in self.back), default=-1)
        return around[kept + 1 :]

    def before(self, path: str, node: Node) -> Place | None:
        """What a step of the new model was in the old one."""
        was = self.kept.get(path) if isinstance(node.op, Block) else self.matching.old.get(path)
        return None if was is None else self.old[was]

    def after(self, path: str, node: Node) -> str | None:
        """The path of what a step of the old model is now."""
        return self.back.get(path) if isinstance(node.op, Block) else self.matching.new.get(path)


def tree(model: Block) -> dict[str, Place]:
    """Every step of a model, blocks as well as ops, by its path."""
    found: dict[str, Place] = {}

    def visit(block: Block, above: str) -> None:
        for node in block.nodes:
            path = f"{above}{node.name}"
            found[path] = Place(path, node, block)
            if isinstance(node.op, Block):
                visit(node.op, f"{path}.")

    visit(model, "")
    return found


def definition(block: Block) -> Hashable:
    """The same for all instances of one block, whichever model they are in."""
    return block.kind, block.at.place.file, block.at.path

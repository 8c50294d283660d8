"""What a picture of two models says of their steps: which came, went, or are otherwise, and how."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from specbuild.ir.graph import Block, Node, Ref
from specbuild.ops.types import TensorType

ChangeType = Literal["", "added", "removed", "changed", "renamed", "inside"]

OLD_SUFFIX = "\u2032"  # ends the name of a step of the old model whose name another step of the new one has

# The sign of each sort, what it is in a legend, and the line of its frame: how thick, and whether it is dashed.
CHANGE_SIGNS: dict[ChangeType, str] = {
    "added": "+",
    "removed": "−",
    "changed": "~",
    "renamed": "→",
    "inside": "~",
}
CHANGE_LABELS: Mapping[ChangeType, str] = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "renamed": "renamed or moved",
    "inside": "changed inside",
}
CHANGE_LINES: Mapping[ChangeType, tuple[float, bool]] = {
    "": (0.9, False),
    "added": (2.4, False),
    "removed": (1.5, True),
    "changed": (1.8, False),
    "renamed": (1.2, False),
    "inside": (1.2, False),
}


class ChangeNote(NamedTuple):
    """One thing that is otherwise: what it was and what it is."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        difference = (
            f"{self.before or 'none'} → {self.after or 'none'}"
            if self.after or not self.what
            else self.before
        )
        return f"{self.what} {difference}".strip()


class ChangeCount(NamedTuple):
    """How many ops were added, removed, and are otherwise."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    def __add__(self, other: object) -> ChangeCount:
        """Sums, unlike what a tuple does."""
        assert isinstance(other, ChangeCount)
        return ChangeCount(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        signs = CHANGE_SIGNS["added"], CHANGE_SIGNS["removed"], CHANGE_SIGNS["changed"]
        return " ".join(f"{sign}{n}" for sign, n in zip(signs, self, strict=True) if n)


NO_CHANGES = ChangeCount()


@dataclass(frozen=True)
class DiffMark:
    """What is said of one step, of an input (by its name), or of an output (by `>` and its name)."""

    change: ChangeType = ""
    notes: tuple[ChangeNote, ...] = ()
    count: ChangeCount = NO_CHANGES
    old_type: TensorType | None = None  # the type that its value had, if that was another
    old_cost: tuple[int, int] | None = None  # what it took, if that was something else
    removed_inputs: tuple[Ref, ...] = ()  # values that it reads no longer
    added_inputs: tuple[Ref, ...] = ()  # values that it reads only now
    is_new_block: bool = False  # of a block that only one of the models knows

    @property
    def signature(self) -> Hashable:
        """Equal for steps in instances of one block of which the same is to be said, but for values."""
        return self.change, tuple(note.what for note in self.notes), self.removed_inputs, self.added_inputs


NO_MARK = DiffMark()


@dataclass
class DiffMarks:
    """The marks of one picture, by the block that holds a step and its name there."""

    by_step: dict[tuple[int, str], DiffMark] = field(default_factory=dict)
    block_paths: dict[int, list[str]] = field(default_factory=dict)  # where a block stands
    fold_paths: Callable[[Iterable[str]], str] = ", ".join  # paths in short
    facts: tuple[str, ...] = ()  # under the title
    live_blocks: list[Block] = field(default_factory=list)  # so that their ids stay their own
    _signatures: dict[int, Hashable] = field(default_factory=dict)

    def mark_of(self, holder: Block, name: str) -> DiffMark:
        return self.by_step.get((id(holder), name), NO_MARK)

    def block_signature(self, block: Block) -> Hashable:
        """What is said inside of a block; () if nothing."""
        if id(block) not in self._signatures:
            names = [*block.inputs, *(f">{name}" for name in block.outputs)]
            ends = [(name, self.mark_of(block, name).signature) for name in names]
            end_signatures = tuple(end for end in ends if end[1] != NO_MARK.signature)
            self._signatures[id(block)] = (*end_signatures, *self.step_signatures(block, block.nodes))
        return self._signatures[id(block)]

    def changed_steps(self, block: Block) -> tuple[str, ...]:
        """The steps of a block of which something is to be said, each with its sign."""
        marks = [
            (node.name.rstrip(OLD_SUFFIX), self.mark_of(block, node.name).change) for node in block.nodes
        ]
        return tuple(f"{CHANGE_SIGNS[sort]}{name}" for name, sort in marks if sort)

    def step_signatures(
        self, holder: Block, nodes: Iterable[Node], prefix_length: int = 0
    ) -> tuple[Hashable, ...]:
        """What is said of some steps of a block, and inside them, by their names after `strip` characters."""
        signatures: list[Hashable] = []
        for node in nodes:
            mark = self.mark_of(holder, node.name)
            inside = self.block_signature(node.op) if isinstance(node.op, Block) else ()
            if inside or mark.signature != NO_MARK.signature:
                signatures.append((node.name[prefix_length:], mark.signature, inside))
        return tuple(signatures)

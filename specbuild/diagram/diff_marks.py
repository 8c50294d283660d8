"""The changes that a diagram of two models shows: which steps were added, removed or changed, and how."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Literal, NamedTuple

from msgspec import Struct, field

from specbuild.ir.graph import Block, Node, Ref
from specbuild.ops.types import TensorType

ChangeType = Literal["", "added", "removed", "changed", "renamed", "inside"]

OLD_SUFFIX = "\u2032"  # ends the name of an old step if another step in the new model has that name

# For each type of change: its sign, its text in the legend, and the line of a frame (width, whether dashed).
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
    """One change: what changed, with the old and the new value."""

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
    """How many ops were added, removed and changed."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    def __add__(self, other: object) -> ChangeCount:
        """Add the counts one by one; `+` would join two tuples."""
        assert isinstance(other, ChangeCount)
        return ChangeCount(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        signs = CHANGE_SIGNS["added"], CHANGE_SIGNS["removed"], CHANGE_SIGNS["changed"]
        return " ".join(f"{sign}{n}" for sign, n in zip(signs, self, strict=True) if n)


NO_CHANGES = ChangeCount()


class DiffMark(Struct, frozen=True):
    """The change of one step, input or output."""

    change: ChangeType = ""
    notes: tuple[ChangeNote, ...] = ()
    count: ChangeCount = NO_CHANGES
    old_type: TensorType | None = None  # the type of its value in the old model, if it was different
    old_cost: tuple[int, int] | None = None  # parameters and multiply-adds in the old model, if different
    removed_inputs: tuple[Ref, ...] = ()  # values that only the old step reads
    added_inputs: tuple[Ref, ...] = ()  # values that only the new step reads
    is_new_block: bool = False  # a block whose definition only one of the models has

    @property
    def signature(self) -> Hashable:
        """Equal for a step in two instances of a block if it changed in the same way; values may differ."""
        return self.change, tuple(note.what for note in self.notes), self.removed_inputs, self.added_inputs


NO_MARK = DiffMark()


class DiffMarks(Struct):
    """The changes of one diagram, by block and by name of a step or input; `>name` is an output."""

    by_step: dict[tuple[Block, str], DiffMark] = field(default_factory=dict)
    block_paths: dict[Block, list[str]] = field(default_factory=dict)  # the paths of each block in the model
    fold_paths: Callable[[Iterable[str]], str] = ", ".join  # shortens a list of paths
    facts: tuple[str, ...] = ()  # the line under the title
    _signatures: dict[Block, Hashable] = field(default_factory=dict)

    def mark_of(self, block: Block, name: str) -> DiffMark:
        return self.by_step.get((block, name), NO_MARK)

    def block_signature(self, block: Block) -> Hashable:
        """Return a value for the changes inside a block, equal for equal changes; () if there are none."""
        if block not in self._signatures:
            names = [*block.inputs, *(f">{name}" for name in block.outputs)]
            ends = [(name, self.mark_of(block, name).signature) for name in names]
            end_signatures = tuple(end for end in ends if end[1] != NO_MARK.signature)
            self._signatures[block] = (*end_signatures, *self.step_signatures(block, block.nodes))
        return self._signatures[block]

    def changed_steps(self, block: Block) -> tuple[str, ...]:
        """Return the names of the changed steps of a block, each after its sign."""
        marks = [
            (node.name.rstrip(OLD_SUFFIX), self.mark_of(block, node.name).change) for node in block.nodes
        ]
        return tuple(f"{CHANGE_SIGNS[change]}{name}" for name, change in marks if change)

    def step_signatures(
        self, block: Block, nodes: Iterable[Node], prefix_length: int = 0
    ) -> tuple[Hashable, ...]:
        """Return the changes of some steps of a block and inside them, by their names without a prefix."""
        signatures: list[Hashable] = []
        for node in nodes:
            mark = self.mark_of(block, node.name)
            inside = self.block_signature(node.op) if isinstance(node.op, Block) else ()
            if inside or mark.signature != NO_MARK.signature:
                signatures.append((node.name[prefix_length:], mark.signature, inside))
        return tuple(signatures)

"""What a picture of two models says of their steps: which came, went, or are otherwise, and how."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from specbuild.ir.graph import Block, Node, Ref
from specbuild.ops.types import Tensor

Sort = Literal["", "added", "removed", "changed", "renamed", "inside"]

GONE = "\u2032"  # ends the name of a step of the old model whose name another step of the new one has

# The sign of each sort, what it is in a legend, and the line of its frame: how thick, and whether it is dashed.
SIGNS: dict[Sort, str] = {"added": "+", "removed": "−", "changed": "~", "renamed": "→", "inside": "~"}
WORDS: Mapping[Sort, str] = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "renamed": "renamed or moved",
    "inside": "changed inside",
}
LINES: Mapping[Sort, tuple[float, bool]] = {
    "": (0.9, False),
    "added": (2.4, False),
    "removed": (1.5, True),
    "changed": (1.8, False),
    "renamed": (1.2, False),
    "inside": (1.2, False),
}


class Note(NamedTuple):
    """One thing that is otherwise: what it was and what it is."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        told = (
            f"{self.before or 'none'} → {self.after or 'none'}"
            if self.after or not self.what
            else self.before
        )
        return f"{self.what} {told}".strip()


class Count(NamedTuple):
    """How many ops were added, removed, and are otherwise."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    def __add__(self, other: object) -> Count:
        """Sums, unlike what a tuple does."""
        assert isinstance(other, Count)
        return Count(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        signs = SIGNS["added"], SIGNS["removed"], SIGNS["changed"]
        return " ".join(f"{sign}{n}" for sign, n in zip(signs, self, strict=True) if n)


NOTHING = Count()


@dataclass(frozen=True)
class Mark:
    """What is said of one step, of an input (by its name), or of an output (by `>` and its name)."""

    sort: Sort = ""
    notes: tuple[Note, ...] = ()
    count: Count = NOTHING
    was: Tensor | None = None  # the type that its value had, if that was another
    took: tuple[int, int] | None = None  # what it took, if that was something else
    gone: tuple[Ref, ...] = ()  # values that it reads no longer
    come: tuple[Ref, ...] = ()  # values that it reads only now
    fresh: bool = False  # of a block that only one of the models knows

    @property
    def form(self) -> Hashable:
        """Equal for steps in instances of one block of which the same is to be said, but for values."""
        return self.sort, tuple(note.what for note in self.notes), self.gone, self.come


NONE = Mark()


@dataclass
class Marks:
    """The marks of one picture, by the block that holds a step and its name there."""

    found: dict[tuple[int, str], Mark] = field(default_factory=dict)
    paths: dict[int, list[str]] = field(default_factory=dict)  # where a block stands
    folded: Callable[[Iterable[str]], str] = ", ".join  # paths in short
    facts: tuple[str, ...] = ()  # under the title
    held: list[Block] = field(default_factory=list)  # so that their ids stay their own
    _forms: dict[int, Hashable] = field(default_factory=dict)

    def of(self, holder: Block, name: str) -> Mark:
        return self.found.get((id(holder), name), NONE)

    def form(self, block: Block) -> Hashable:
        """What is said inside of a block; () if nothing."""
        if id(block) not in self._forms:
            names = [*block.inputs, *(f">{name}" for name in block.outputs)]
            ends = [(name, self.of(block, name).form) for name in names]
            said = tuple(end for end in ends if end[1] != NONE.form)
            self._forms[id(block)] = (*said, *self.said(block, block.nodes))
        return self._forms[id(block)]

    def inside(self, block: Block) -> tuple[str, ...]:
        """The steps of a block of which something is to be said, each with its sign."""
        marks = [(node.name.rstrip(GONE), self.of(block, node.name).sort) for node in block.nodes]
        return tuple(f"{SIGNS[sort]}{name}" for name, sort in marks if sort)

    def said(self, holder: Block, nodes: Iterable[Node], strip: int = 0) -> tuple[Hashable, ...]:
        """What is said of some steps of a block, and inside them, by their names after `strip` characters."""
        found: list[Hashable] = []
        for node in nodes:
            mark = self.of(holder, node.name)
            inside = self.form(node.op) if isinstance(node.op, Block) else ()
            if inside or mark.form != NONE.form:
                found.append((node.name[strip:], mark.form, inside))
        return tuple(found)

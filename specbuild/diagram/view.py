"""What a picture shows, before anything is placed: boxes and links, on one panel for each block that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from specbuild.diagram.captions import Axes
from specbuild.diagram.diff_marks import SIGNS, WORDS, Marks, Sort
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.types import Tensor

# What a step takes: parameters, multiply-adds. Given by the caller; counting is another part's duty.
Costing = Callable[[Node, Block], tuple[int, int]]


@dataclass(frozen=True)
class Chip:
    """A light step drawn inside the box of the step before it."""

    kind: str
    family: str
    text: str
    step: str


@dataclass(frozen=True)
class Box:
    """One shape: a step, several that are alike, or a light step's chain.

    `form` is card, symbol (a small circle), input, output or port.
    """

    key: str
    form: str
    kind: str
    title: str
    families: tuple[str, ...] = ()
    name: str = ""
    detail: str = ""
    chips: tuple[Chip, ...] = ()
    sizes: Axes = ()
    type: str = ""
    parameters: int = 0
    macs: int = 0
    times: str = ""
    opens: str = ""  # the panel that shows what is inside
    condition: str | None = None  # of a step that not every instance has
    shares: str = ""  # the name of the step whose weights are used again
    shared: bool = False  # has weights that another box uses again
    steps: tuple[str, ...] = ()  # paths inside the panel's block
    mix: tuple[tuple[str, int], ...] = ()  # multiply-adds by kind, of what is inside
    at: At | None = None
    doc: str = ""
    mark: Sort = ""  # in a picture of two models
    notes: tuple[str, ...] = ()  # what is otherwise
    took: tuple[int, int] | None = None  # parameters and multiply-adds, where they were others


@dataclass(frozen=True)
class Link:
    """A value on its way from one box to another."""

    tail: str
    head: str
    label: str = ""
    type: str = ""
    mark: Sort = ""


@dataclass(frozen=True)
class Panel:
    """One block, drawn once: its steps as boxes."""

    key: str
    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    opens: tuple[str, ...] = ()  # the panels of what is in it, in order
    uses: int = 0  # how often the block stands in the model; 0: not counted
    mark: Sort = ""  # of a block that only one of two models has


@dataclass(frozen=True)
class View:
    """A whole picture."""

    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    left_out: tuple[str, ...] = ()  # names of blocks that are not opened
    macs: int = 0
    page: bool = False  # panels are left out rather than let the picture grow taller than a page
    notes: tuple[str, ...] = ()
    compared: bool = False  # of two models: only what differs stands out

    def boxes(self) -> Iterator[Box]:
        for panel in self.panels:
            yield from panel.boxes

    def without_places(self) -> View:
        """The same wherever the spec lies."""
        panels = (replace(p, boxes=tuple(replace(b, at=None) for b in p.boxes)) for p in self.panels)
        return replace(self, panels=tuple(panels))

    def signs(self) -> str:
        """What the signs mean that are seen in a picture of two models."""
        seen = {box.mark for box in self.boxes()}
        told = {SIGNS[sort]: WORDS[sort] for sort in reversed(SIGNS) if sort in seen}
        return ", ".join(f"{sign} {told[sign]}" for sign in dict.fromkeys(SIGNS.values()) if sign in told)

    def families(self) -> dict[str, list[str]]:
        """The families of ops that are seen, by kind."""
        found: dict[str, list[str]] = {}
        for box in self.boxes():
            seen = [(box.kind, family) for family in box.families]
            for kind, family in [*seen, *((chip.kind, chip.family) for chip in box.chips)]:
                if family not in found.setdefault(kind, []):
                    found[kind].append(family)
            for kind, _ in box.mix:
                found.setdefault(kind, [])
        return found


@dataclass(frozen=True)
class Scope:
    """Steps that are drawn together: a block instance, or one member of a repeated group.

    `strip` is how much of a step's name stands before its name here.
    """

    holder: Block
    nodes: tuple[Node, ...]
    inputs: Mapping[Ref, Tensor]
    outputs: Mapping[str, Ref]
    strip: int = 0
    names: Mapping[Ref, str] = field(default_factory=dict)  # of inputs, where they are not the references

    @classmethod
    def of(cls, block: Block) -> Scope:
        return cls(block, block.nodes, block.inputs, {name: o.ref for name, o in block.outputs.items()})

    def name(self, node: Node) -> str:
        return node.name[self.strip :]


@dataclass
class Kind:
    """All instances of one block: what its one panel is made from."""

    key: str
    title: str
    doc: str
    scopes: list[Scope]
    at: At | None = None
    marks: Marks = field(default_factory=Marks)
    mark: Sort = ""

    @property
    def fullest(self) -> Scope:
        """The instance with most steps: the others lack some of its."""
        return max(self.scopes, key=lambda s: sum(not isinstance(n.op, Skip) for n in s.nodes))

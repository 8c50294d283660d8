"""What a picture shows, before anything is placed: boxes and links, on one panel for each block that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from specbuild.diagram.captions import AxisSizes
from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_SIGNS, ChangeType, DiffMarks
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.types import TensorType

# What a step takes: parameters, multiply-adds. Given by the caller; counting is another part's duty.
CostFunction = Callable[[Node, Block], tuple[int, int]]


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
    sizes: AxisSizes = ()
    type: str = ""
    parameters: int = 0
    macs: int = 0
    repeat_count: str = ""
    opens_panel: str = ""  # the panel that shows what is inside
    condition: str | None = None  # of a step that not every instance has
    weights_of: str = ""  # the name of the step whose weights are used again
    has_shared_weights: bool = False  # has weights that another box uses again
    steps: tuple[str, ...] = ()  # paths inside the panel's block
    macs_by_kind: tuple[tuple[str, int], ...] = ()  # multiply-adds by kind, of what is inside
    at: SourceAddress | None = None
    doc: str = ""
    change: ChangeType = ""  # in a picture of two models
    notes: tuple[str, ...] = ()  # what is otherwise
    old_cost: tuple[int, int] | None = None  # parameters and multiply-adds, where they were others


@dataclass(frozen=True)
class Link:
    """A value on its way from one box to another."""

    tail: str
    head: str
    label: str = ""
    type: str = ""
    change: ChangeType = ""


@dataclass(frozen=True)
class Panel:
    """One block, drawn once: its steps as boxes."""

    key: str
    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    opened_panels: tuple[str, ...] = ()  # the panels of what is in it, in order
    use_count: int = 0  # how often the block stands in the model; 0: not counted
    change: ChangeType = ""  # of a block that only one of two models has


@dataclass(frozen=True)
class View:
    """A whole picture."""

    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    omitted_blocks: tuple[str, ...] = ()  # names of blocks that are not opened
    macs: int = 0
    fits_page: bool = False  # panels are left out rather than let the picture grow taller than a page
    notes: tuple[str, ...] = ()
    is_diff: bool = False  # of two models: only what differs stands out

    def all_boxes(self) -> Iterator[Box]:
        for panel in self.panels:
            yield from panel.boxes

    def without_locations(self) -> View:
        """The same wherever the spec lies."""
        panels = (replace(p, boxes=tuple(replace(b, at=None) for b in p.boxes)) for p in self.panels)
        return replace(self, panels=tuple(panels))

    def change_key(self) -> str:
        """What the signs mean that are seen in a picture of two models."""
        changes = {box.change for box in self.all_boxes()}
        labels = {
            CHANGE_SIGNS[sort]: CHANGE_LABELS[sort] for sort in reversed(CHANGE_SIGNS) if sort in changes
        }
        return ", ".join(
            f"{sign} {labels[sign]}" for sign in dict.fromkeys(CHANGE_SIGNS.values()) if sign in labels
        )

    def op_families(self) -> dict[str, list[str]]:
        """The families of ops that are seen, by kind."""
        families: dict[str, list[str]] = {}
        for box in self.all_boxes():
            box_families = [(box.kind, family) for family in box.families]
            for kind, family in [*box_families, *((chip.kind, chip.family) for chip in box.chips)]:
                if family not in families.setdefault(kind, []):
                    families[kind].append(family)
            for kind, _ in box.macs_by_kind:
                families.setdefault(kind, [])
        return families


@dataclass(frozen=True)
class StepScope:
    """Steps that are drawn together: a block instance, or one member of a repeated group.

    `strip` is how much of a step's name stands before its name here.
    """

    block: Block
    nodes: tuple[Node, ...]
    inputs: Mapping[Ref, TensorType]
    outputs: Mapping[str, Ref]
    prefix_length: int = 0
    input_names: Mapping[Ref, str] = field(
        default_factory=dict
    )  # of inputs, where they are not the references

    @classmethod
    def from_block(cls, block: Block) -> StepScope:
        return cls(block, block.nodes, block.inputs, {name: o.ref for name, o in block.outputs.items()})

    def local_name(self, node: Node) -> str:
        return node.name[self.prefix_length :]


@dataclass
class BlockKind:
    """All instances of one block: what its one panel is made from."""

    key: str
    title: str
    doc: str
    scopes: list[StepScope]
    at: SourceAddress | None = None
    marks: DiffMarks = field(default_factory=DiffMarks)
    change: ChangeType = ""

    @property
    def fullest_scope(self) -> StepScope:
        """The instance with most steps: the others lack some of its."""
        return max(self.scopes, key=lambda s: sum(not isinstance(n.op, Skip) for n in s.nodes))

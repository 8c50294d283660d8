"""What a diagram shows, before layout: one panel for each block, with boxes and links."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagram.captions import FREE_SIZE_STAR, FREE_SIZES_KEY, AxisSizes
from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_SIGNS, ChangeType, DiffMarks
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, FreeSizes, Node, Ref, Skip
from specbuild.ops.types import TensorType

# Returns the parameters and multiply-adds of a step in a block. Passed in: this package counts nothing.
CostFunction = Callable[[Node, Block], tuple[int, int]]


class Chip(Struct, frozen=True):
    """A light step, drawn inside the box of the step before it."""

    kind: str
    family: str
    text: str
    step: str


class Box(Struct, frozen=True):
    """One box: a step with its chips, a repeat, or a summary of several steps.

    `form` is card, symbol (a small circle), input, output or port (an input or output of an inner block).
    `kind` is the kind of op that sets the colour (see `palette`).
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
    grid: tuple[tuple[str, int], ...] = ()  # the axes that give the value its resolution, with their sizes
    parameters: int = 0
    macs: int = 0
    has_varying_cost: bool = False  # between instances of the block: then both numbers are 0
    repeat_count: str = ""
    opens_panel: str = ""  # the key of the panel that shows the inside
    condition: str | None = None  # set if some instances of the block lack the step
    weights_of: str = ""  # the step whose weights this step reuses
    has_shared_weights: bool = False  # another box reuses its weights
    steps: tuple[str, ...] = ()  # paths inside the panel's block
    macs_by_kind: tuple[tuple[str, int], ...] = ()  # multiply-adds of the block, by kind of op
    at: SourceAddress | None = None
    doc: str = ""
    row: int | str | None = None  # where the spec puts it: the number of a row, or `new`
    change: ChangeType = ""  # in a diagram of two models
    notes: tuple[str, ...] = ()  # what changed
    # parameters and multiply-adds in the old model, if they were different
    old_cost: tuple[int, int] | None = None


class Link(Struct, frozen=True):
    """A value that one box outputs and another box reads."""

    tail: str  # the key of the box that outputs it
    head: str  # the key of the box that reads it
    label: str = ""
    type: str = ""
    change: ChangeType = ""
    gives_size: bool = False  # whether the reader needs only the sizes of the value


class Panel(Struct, frozen=True):
    """One kind of block, drawn once, with its steps as boxes."""

    key: str
    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    opened_panels: tuple[str, ...] = ()  # the keys of the panels that its boxes open, in order
    use_count: int = 0  # how often the model contains the block; 0: not counted
    change: ChangeType = ""  # set if only one of two models has the block


class View(Struct, frozen=True):
    """A whole diagram."""

    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    omitted_blocks: tuple[str, ...] = ()  # names of the blocks that have no panel
    macs: int = 0
    fits_page: bool = False  # omit panels rather than grow taller than a page
    notes: tuple[str, ...] = ()
    is_diff: bool = False  # of two models: only changes have colours

    def all_boxes(self) -> Iterator[Box]:
        for panel in self.panels:
            yield from panel.boxes

    def without_locations(self) -> View:
        """Return this view without file names and lines: it does not depend on where the spec is."""
        panels = (replace(p, boxes=tuple(replace(b, at=None) for b in p.boxes)) for p in self.panels)
        return replace(self, panels=tuple(panels))

    def without_counts(self) -> View:
        """Return this view without parameters and multiply-adds."""
        panels = (
            replace(
                panel,
                boxes=tuple(
                    replace(box, parameters=0, macs=0, macs_by_kind=(), old_cost=None) for box in panel.boxes
                ),
            )
            for panel in self.panels
        )
        return replace(self, panels=tuple(panels), subtitle="" if not self.is_diff else self.subtitle, macs=0)

    def has_free_sizes(self) -> bool:
        """Return whether a box shows a size that can be any."""
        return any(size.endswith(FREE_SIZE_STAR) for box in self.all_boxes() for _, size in box.sizes)

    def sign_key(self) -> str:
        """Return the meaning of the signs where there is no room for a legend."""
        return "; ".join(filter(None, [self.change_key(), FREE_SIZES_KEY * self.has_free_sizes()]))

    def change_key(self) -> str:
        """Return the meaning of the signs in a diagram of two models: `+ added, − removed`."""
        changes = {box.change for box in self.all_boxes()}
        labels = {CHANGE_SIGNS[c]: CHANGE_LABELS[c] for c in reversed(CHANGE_SIGNS) if c in changes}
        signs = dict.fromkeys(CHANGE_SIGNS.values())
        return ", ".join(f"{sign} {labels[sign]}" for sign in signs if sign in labels)

    def op_families(self) -> dict[str, list[str]]:
        """Return the families of the ops in this view, by kind."""
        families: dict[str, list[str]] = {}
        for box in self.all_boxes():
            box_families = [(box.kind, family) for family in box.families]
            for kind, family in [*box_families, *((chip.kind, chip.family) for chip in box.chips)]:
                if family not in families.setdefault(kind, []):
                    families[kind].append(family)
            for kind, _ in box.macs_by_kind:
                families.setdefault(kind, [])
        return families


class StepScope(Struct, frozen=True):
    """Steps that are drawn together: an instance of a block, or one member of a repeat.

    `prefix_length` is how many characters of a step's name precede its name in this scope.
    """

    block: Block
    nodes: tuple[Node, ...]
    inputs: Mapping[Ref, TensorType]
    outputs: Mapping[str, Ref]
    prefix_length: int = 0
    # the names of inputs that do not show their reference
    input_names: Mapping[Ref, str] = field(default_factory=dict)

    @classmethod
    def from_block(cls, block: Block) -> StepScope:
        return cls(block, block.nodes, block.inputs, {name: o.ref for name, o in block.outputs.items()})

    def local_name(self, node: Node) -> str:
        return node.name[self.prefix_length :]


class BlockKind(Struct):
    """All instances of one block, which share one panel."""

    key: str
    title: str
    doc: str
    scopes: list[StepScope]
    at: SourceAddress | None = None
    marks: DiffMarks = field(default_factory=DiffMarks)
    change: ChangeType = ""
    free_sizes: FreeSizes = field(default_factory=FreeSizes)  # of the model

    @property
    def fullest_scope(self) -> StepScope:
        """The instance that the panel shows: it has the most steps, and of those the most kinds of blocks."""

        def count_steps(scope: StepScope) -> tuple[int, int]:
            ops = [node.op for node in scope.nodes if not isinstance(node.op, Skip)]
            return len(ops), len({op.name for op in ops if isinstance(op, Block)})

        return max(self.scopes, key=count_steps)

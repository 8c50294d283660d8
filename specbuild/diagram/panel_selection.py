"""Selects the panels of a diagram: the model, then the blocks inside, while the diagram stays readable."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import list_some, suggest_name
from specbuild.diagram.axis_order import unify_axis_order
from specbuild.diagram.block_kinds import BlockKinds
from specbuild.diagram.captions import short_number
from specbuild.diagram.diff_marks import DiffMarks
from specbuild.diagram.panel_builder import build_panel
from specbuild.diagram.summary_boxes import condense_unchanged, limit_boxes
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import BlockKind, CostFunction, Panel, StepScope, View
from specbuild.ir.graph import Block, Node, Skip, distinct_blocks

# The size of a diagram whose depth the user did not choose.
READABLE_BOXES = 80
READABLE_PANELS = 9
MAX_BOXES = 4_000  # of all panels, beyond which no block is drawn


class DetailLevel(Struct, frozen=True):
    """How much a diagram shows. `depth` counts levels of panels; None: as many panels as stay readable."""

    depth: int | None = None
    open_path: str = ""  # the block to draw; empty: the whole model
    all_ops: bool = False  # draw every op as a box of its own


def plan_view(
    model: Block, costs: CostFunction, detail: DetailLevel, title: str = "", marks: DiffMarks | None = None
) -> View:
    """Return the panels that a diagram of a model shows; with `marks`, a diagram of two models.

    Raises SB953 if there is no block at `detail.open_path`.
    """
    kinds = BlockKinds(costs, detail.all_ops, marks, model.free_sizes)
    root, path = find_block(model, detail.open_path)
    for block in distinct_blocks(root):
        if block is not root:
            kinds.kind_key(block)
    depth = detail.depth
    notes: list[str] = []
    panels, omitted_blocks = select_panels(root, kinds, depth, notes)
    parameters, macs = block_cost(root, costs)
    facts = [f"{short_number(parameters)} parameters", f"{short_number(macs)} multiply-adds per sample"]
    if marks is not None:
        facts = list(marks.facts)
    if path:
        facts.insert(0, f"{display_text(model.name)} · {display_text(path)}")
    view = View(
        display_text(title or root.name, 120),
        " · ".join(facts),
        tuple(remove_dead_links([panels[0], *add_usage(panels[1:], root, kinds)])),
        tuple(dict.fromkeys(omitted_blocks)),
        macs,
        depth is None,
        tuple(notes),
        marks is not None,
    )
    return unify_axis_order(view)


def select_panels(
    root: Block, kinds: BlockKinds, depth: int | None, notes: list[str]
) -> tuple[list[Panel], list[str]]:
    """Return the panel of the root, then those that its boxes open, level by level.

    Returns the panels and the titles of omitted blocks.
    """
    main = BlockKind(
        "main",
        root.name,
        root.doc,
        [StepScope.from_block(root)],
        root.at,
        kinds.marks,
        free_sizes=kinds.free_sizes,
    )
    panels = [build_readable_panel(kinds, main, notes, is_main=True)]
    omitted_blocks: list[str] = []
    box_count = len(panels[0].boxes)
    waiting = [(key, 2) for key in panels[0].opened_panels]
    queued = set(panels[0].opened_panels)
    while waiting:
        key, level = waiting.pop(0)
        kind = kinds.by_key[key]
        if box_count > MAX_BOXES:
            omitted_blocks.append(kind.title)
            continue
        panel = build_readable_panel(kinds, kind, notes, is_main=False)
        if depth is None:
            is_full = box_count + len(panel.boxes) > READABLE_BOXES or len(panels) >= READABLE_PANELS
        else:
            is_full = level > depth
        if is_full:
            omitted_blocks.append(kind.title)
            continue
        box_count += len(panel.boxes)
        panels.append(panel)
        waiting += [(inner, level + 1) for inner in panel.opened_panels if inner not in queued]
        queued |= set(panel.opened_panels)
    if box_count > MAX_BOXES and omitted_blocks:
        first = list_some(omitted_blocks[:4])
        notes.append(
            f"{len(omitted_blocks)} blocks are not drawn, such as {first}: the others have {box_count:,} boxes; "
            "`--open` shows one block"
        )
    return panels, omitted_blocks


def add_usage(panels: list[Panel], root: Block, kinds: BlockKinds) -> list[Panel]:
    """Return panels with the use count of their block, and in a diagram of two models the paths of its changes."""
    counts = count_uses(root, kinds)
    used = [replace(panel, use_count=counts.get(panel.key, 0)) for panel in panels]
    if not kinds.is_diff:
        return used
    return [
        replace(panel, subtitle=instance_locations(kinds.by_key[panel.key], kinds.marks) or panel.subtitle)
        for panel in used
    ]


def build_readable_panel(kinds: BlockKinds, kind: BlockKind, notes: list[str], *, is_main: bool) -> Panel:
    """Return the panel of one kind of block, summarized if it has too many boxes."""
    panel = build_panel(kinds, kind, is_main=is_main)
    return limit_boxes(condense_unchanged(panel) if kinds.is_diff else panel, notes)


def instance_locations(kind: BlockKind, marks: DiffMarks) -> str:
    """Return the paths of the changed instances of a block; empty if only one of two models has the block."""
    paths = [path for scope in kind.scopes for path in marks.block_paths.get(scope.block, ())]
    return f"in {marks.fold_paths(paths)}" if paths and not kind.change else ""


def count_uses(root: Block, kinds: BlockKinds) -> Counter[str]:
    """Return how often a block contains each kind of block, at any depth. Reused weights do not count."""
    counts: dict[Block, Counter[str]] = {}

    def count_inside(block: Block) -> Counter[str]:
        if block not in counts:
            count: Counter[str] = Counter()
            for node in block.nodes:
                if isinstance(node.op, Block) and not node.reuses:
                    count[kinds.kind_key(node.op)] += 1
                    count.update(count_inside(node.op))
            counts[block] = count
        return counts[block]

    return count_inside(root)


def remove_dead_links(panels: list[Panel]) -> list[Panel]:
    """Return panels whose boxes open only panels that are drawn."""
    shown = {"", *(panel.key for panel in panels)}
    return [
        replace(
            p, boxes=tuple(replace(b, opens_panel="") if b.opens_panel not in shown else b for b in p.boxes)
        )
        for p in panels
    ]


def block_cost(root: Block, costs: CostFunction) -> tuple[int, int]:
    """Return parameters and multiply-adds of all steps of a block."""
    step_costs = [costs(node, root) for node in root.nodes]
    return sum(c[0] for c in step_costs), sum(c[1] for c in step_costs)


def find_block(model: Block, path: str) -> tuple[Block, str]:
    """Return the block at a path, and the whole path: for a repeat `layer1`, its first member `layer1.0`.

    Raises SB953 if there is no such step, or if it is not a block.
    """
    block, rest, walked_path = model, path, ""
    while rest:
        matches = [n for n in block.nodes if rest == n.name or rest.startswith(n.name + ".")]
        node: Node | None = max(matches, key=lambda n: len(n.name)) if matches else None
        if node is None:
            node = next((n for n in block.nodes if n.name.startswith(rest + ".")), None)
            rest = node.name if node else rest
        if node is None or not isinstance(node.op, Block):
            raise missing_step_error(block, node, path, walked_path)
        walked_path = f"{walked_path}.{node.name}" if walked_path else node.name
        block, rest = node.op, rest[len(node.name) + 1 :]
    return block, walked_path


def missing_step_error(block: Block, node: Node | None, path: str, walked_path: str) -> SpecError:
    within = f"`{make_printable(walked_path)}`" if walked_path else block.name
    names = [n.name for n in block.nodes if isinstance(n.op, Block)]
    names += [n.split(".")[0] for n in names if "." in n]
    if node is not None:
        what = "was skipped" if isinstance(node.op, Skip) else "is not a block"
        message = f"`{make_printable(path)}` {what}: there is nothing to open"
    else:
        message = f"there is no step `{make_printable(path)}` to open"
    last = path[len(walked_path) :].lstrip(".")
    contents = ", ".join(dict.fromkeys(n.split(".")[0] for n in names)) or "no block"
    hint = suggest_name(last, names, otherwise=f"{within} contains {make_printable(contents)}")
    return SpecError("SB953", message, hint=hint)

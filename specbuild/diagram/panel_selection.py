"""Which panels a picture has: the model as its blocks, then each block that they open, while it stays readable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from specbuild.diagnostics.errors import SpecError, closest_match, make_printable
from specbuild.diagram import captions as caption
from specbuild.diagram.block_kinds import BlockKinds
from specbuild.diagram.diff_marks import DiffMarks
from specbuild.diagram.panel_builder import build_panel as folded
from specbuild.diagram.summary_boxes import condense_unchanged, limit_boxes
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import BlockKind, CostFunction, Panel, StepScope, View
from specbuild.ir.graph import Block, Node, Skip, distinct_blocks

READABLE_BOXES = 80  # of a picture whose depth nobody chose
READABLE_PANELS = 9


@dataclass(frozen=True)
class DetailLevel:
    """How much is shown. `depth` counts levels of panels; None: as many as stay readable."""

    depth: int | None = None
    open_path: str = ""
    all_ops: bool = False  # every op in its own box


def plan_view(
    model: Block, costs: CostFunction, detail: DetailLevel, title: str = "", marks: DiffMarks | None = None
) -> View:
    """A model as a picture, with `marks` two models as one; raises SpecError for a path that is not there."""
    kinds = BlockKinds(costs, detail.all_ops, marks)
    root, path = find_block(model, detail.open_path)
    for block in distinct_blocks(root):
        if block is not root:
            kinds.kind_key(block)
    main = BlockKind("main", root.kind, root.doc, [StepScope.from_block(root)], root.at, kinds.marks)
    notes: list[str] = []
    panels = [build_readable_panel(kinds, main, notes, is_main=True)]
    depth = detail.depth if detail.depth is not None or not detail.all_ops else 64
    waiting = [(key, 2) for key in panels[0].opened_panels]
    queued = set(panels[0].opened_panels)
    left_out: list[str] = []
    count = len(panels[0].boxes)
    while waiting:
        key, level = waiting.pop(0)
        kind = kinds.by_key[key]
        panel = build_readable_panel(kinds, kind, notes, is_main=False)
        full = depth is None and (count + len(panel.boxes) > READABLE_BOXES or len(panels) >= READABLE_PANELS)
        if full or (depth is not None and level > depth):
            left_out.append(kind.title)
            continue
        count += len(panel.boxes)
        panels.append(panel)
        waiting += [(inner, level + 1) for inner in panel.opened_panels if inner not in queued]
        queued |= set(panel.opened_panels)
    parameters, macs = total_cost(root, costs)
    facts = [
        f"{caption.short_number(parameters)} parameters",
        f"{caption.short_number(macs)} multiply-adds a sample",
    ]
    if marks is not None:
        facts = list(marks.facts)
    where = f"{display_text(model.kind)} · {display_text(path)}" if path else ""
    counts = count_uses(root, kinds)
    panels[1:] = [replace(p, use_count=counts.get(p.key, 0)) for p in panels[1:]]
    if marks is not None:
        panels[1:] = [
            replace(p, subtitle=instance_locations(kinds.by_key[p.key], marks) or p.subtitle)
            for p in panels[1:]
        ]
    return View(
        display_text(title or root.kind, 120),
        " · ".join([*([where] if where else []), *facts]),
        tuple(remove_dead_links(panels)),
        tuple(dict.fromkeys(left_out)),
        macs,
        depth is None,
        tuple(notes),
        marks is not None,
    )


def build_readable_panel(kinds: BlockKinds, kind: BlockKind, notes: list[str], *, is_main: bool) -> Panel:
    """The panel of one kind, no larger than can be read."""
    panel = folded(kinds, kind, is_main=is_main)
    return limit_boxes(condense_unchanged(panel) if kinds.is_diff else panel, notes)


def instance_locations(kind: BlockKind, marks: DiffMarks) -> str:
    """Where the instances of a block stand of which something is to be said."""
    paths = [path for scope in kind.scopes for path in marks.block_paths.get(id(scope.block), ())]
    return f"in {marks.fold_paths(paths)}" if paths and not kind.change else ""


def count_uses(root: Block, kinds: BlockKinds) -> Counter[str]:
    """How often each kind of block stands in the model."""
    counts: dict[int, Counter[str]] = {}

    def count_inside(block: Block) -> Counter[str]:
        if id(block) not in counts:
            count: Counter[str] = Counter()
            for node in block.nodes:
                if isinstance(node.op, Block) and not node.reuses:
                    count[kinds.kind_key(node.op)] += 1
                    count.update(count_inside(node.op))
            counts[id(block)] = count
        return counts[id(block)]

    return count_inside(root)


def remove_dead_links(panels: list[Panel]) -> list[Panel]:
    """Panels under which nothing opens what is not drawn."""
    drawn = {panel.key for panel in panels}
    return [
        replace(p, boxes=tuple(b if b.opens_panel in drawn else replace(b, opens_panel="") for b in p.boxes))
        for p in panels
    ]


def total_cost(root: Block, costs: CostFunction) -> tuple[int, int]:
    step_costs = [costs(node, root) for node in root.nodes]
    return sum(c[0] for c in step_costs), sum(c[1] for c in step_costs)


def find_block(model: Block, path: str) -> tuple[Block, str]:
    """The block at a path such as `layer1.0`; the first of a repeat for `layer1`."""
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
    within = f"`{make_printable(walked_path)}`" if walked_path else block.kind
    names = [n.name for n in block.nodes if isinstance(n.op, Block)]
    names += [n.split(".")[0] for n in names if "." in n]
    if node is not None:
        what = "was skipped" if isinstance(node.op, Skip) else "is no block"
        message = f"`{make_printable(path)}` {what}: there is nothing to open"
    else:
        message = f"there is no step `{make_printable(path)}` to open"
    last = path[len(walked_path) :].lstrip(".")
    near = closest_match(last, names)
    some = ", ".join(dict.fromkeys(n.split(".")[0] for n in names)) or "no block"
    return SpecError(
        "SB953", message, hint=f"did you mean {near!r}?" if near else f"{within} holds {make_printable(some)}"
    )

"""Which panels a picture has: the model as its blocks, then each block that they open, while it stays readable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from specbuild.diagnostics.errors import SpecError, nearest, printable
from specbuild.diagram import captions as caption
from specbuild.diagram.block_kinds import Kinds
from specbuild.diagram.diff_marks import Marks
from specbuild.diagram.fold_steps import panel as folded
from specbuild.diagram.summary_boxes import bounded, quiet
from specbuild.diagram.text_metrics import shown
from specbuild.diagram.view import Costing, Kind, Panel, Scope, View
from specbuild.ir.graph import Block, Node, Skip, blocks

READABLE_BOXES = 80  # of a picture whose depth nobody chose
READABLE_PANELS = 9


@dataclass(frozen=True)
class Detail:
    """How much is shown. `depth` counts levels of panels; None: as many as stay readable."""

    depth: int | None = None
    open: str = ""
    ops: bool = False  # every op in its own box


def view(model: Block, costs: Costing, detail: Detail, title: str = "", marks: Marks | None = None) -> View:
    """A model as a picture, with `marks` two models as one; raises SpecError for a path that is not there."""
    kinds = Kinds(costs, detail.ops, marks)
    root, path = opened(model, detail.open)
    for block in blocks(root):
        if block is not root:
            kinds.kind(block)
    main = Kind("main", root.kind, root.doc, [Scope.of(root)], root.at, kinds.marks)
    notes: list[str] = []
    panels = [made(kinds, main, notes, main=True)]
    depth = detail.depth if detail.depth is not None or not detail.ops else 64
    waiting = [(key, 2) for key in panels[0].opens]
    seen = set(panels[0].opens)
    left_out: list[str] = []
    count = len(panels[0].boxes)
    while waiting:
        key, level = waiting.pop(0)
        kind = kinds.found[key]
        panel = made(kinds, kind, notes, main=False)
        full = depth is None and (count + len(panel.boxes) > READABLE_BOXES or len(panels) >= READABLE_PANELS)
        if full or (depth is not None and level > depth):
            left_out.append(kind.title)
            continue
        count += len(panel.boxes)
        panels.append(panel)
        waiting += [(inner, level + 1) for inner in panel.opens if inner not in seen]
        seen |= set(panel.opens)
    parameters, macs = total(root, costs)
    facts = [f"{caption.short(parameters)} parameters", f"{caption.short(macs)} multiply-adds a sample"]
    if marks is not None:
        facts = list(marks.facts)
    where = f"{shown(model.kind)} · {shown(path)}" if path else ""
    counts = uses(root, kinds)
    panels[1:] = [replace(p, uses=counts.get(p.key, 0)) for p in panels[1:]]
    if marks is not None:
        panels[1:] = [
            replace(p, subtitle=places(kinds.found[p.key], marks) or p.subtitle) for p in panels[1:]
        ]
    return View(
        shown(title or root.kind, 120),
        " · ".join([*([where] if where else []), *facts]),
        tuple(numbered(panels)),
        tuple(dict.fromkeys(left_out)),
        macs,
        depth is None,
        tuple(notes),
        marks is not None,
    )


def made(kinds: Kinds, kind: Kind, notes: list[str], *, main: bool) -> Panel:
    """The panel of one kind, no larger than can be read."""
    panel = folded(kinds, kind, main=main)
    return bounded(quiet(panel) if kinds.compared else panel, notes)


def places(kind: Kind, marks: Marks) -> str:
    """Where the instances of a block stand of which something is to be said."""
    paths = [path for scope in kind.scopes for path in marks.paths.get(id(scope.holder), ())]
    return f"in {marks.folded(paths)}" if paths and not kind.mark else ""


def uses(root: Block, kinds: Kinds) -> Counter[str]:
    """How often each kind of block stands in the model."""
    made: dict[int, Counter[str]] = {}

    def inside(block: Block) -> Counter[str]:
        if id(block) not in made:
            found: Counter[str] = Counter()
            for node in block.nodes:
                if isinstance(node.op, Block) and not node.reuses:
                    found[kinds.kind(node.op)] += 1
                    found.update(inside(node.op))
            made[id(block)] = found
        return made[id(block)]

    return inside(root)


def numbered(panels: list[Panel]) -> list[Panel]:
    """Panels under which nothing opens what is not drawn."""
    drawn = {panel.key for panel in panels}
    return [
        replace(p, boxes=tuple(b if b.opens in drawn else replace(b, opens="") for b in p.boxes))
        for p in panels
    ]


def total(root: Block, costs: Costing) -> tuple[int, int]:
    found = [costs(node, root) for node in root.nodes]
    return sum(c[0] for c in found), sum(c[1] for c in found)


def opened(model: Block, path: str) -> tuple[Block, str]:
    """The block at a path such as `layer1.0`; the first of a repeat for `layer1`."""
    block, rest, walked = model, path, ""
    while rest:
        found = [n for n in block.nodes if rest == n.name or rest.startswith(n.name + ".")]
        node: Node | None = max(found, key=lambda n: len(n.name)) if found else None
        if node is None:
            node = next((n for n in block.nodes if n.name.startswith(rest + ".")), None)
            rest = node.name if node else rest
        if node is None or not isinstance(node.op, Block):
            raise missing(block, node, path, walked)
        walked = f"{walked}.{node.name}" if walked else node.name
        block, rest = node.op, rest[len(node.name) + 1 :]
    return block, walked


def missing(block: Block, node: Node | None, path: str, walked: str) -> SpecError:
    within = f"`{printable(walked)}`" if walked else block.kind
    names = [n.name for n in block.nodes if isinstance(n.op, Block)]
    names += [n.split(".")[0] for n in names if "." in n]
    if node is not None:
        what = "was skipped" if isinstance(node.op, Skip) else "is no block"
        message = f"`{printable(path)}` {what}: there is nothing to open"
    else:
        message = f"there is no step `{printable(path)}` to open"
    last = path[len(walked) :].lstrip(".")
    near = nearest(last, names)
    some = ", ".join(dict.fromkeys(n.split(".")[0] for n in names)) or "no block"
    return SpecError(
        "SB953", message, hint=f"did you mean {near!r}?" if near else f"{within} holds {printable(some)}"
    )

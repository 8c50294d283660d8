"""The page: title, the model, a framed panel for each block that is opened, a legend of what is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath

from specbuild.diagram import graphviz_process as engine
from specbuild.diagram.box_shapes import Card
from specbuild.diagram.diff_marks import LINES, WORDS
from specbuild.diagram.legend import legend
from specbuild.diagram.panel_layout import DOT, MOST_LABEL, Arrangement
from specbuild.diagram.place_row import Placed
from specbuild.diagram.scene import Curve, Group, Rect, Scene, Shape, Text, shift, straight
from specbuild.diagram.text_metrics import shown, width
from specbuild.diagram.view import Box, Panel, View

WIDTH = 1000.0  # of the page's contents, where a chain may be turned into the next row
TALL = 700.0
MARGIN = 22.0
INSET = 13.0
GAP = 20.0
HEAD = 28.0  # the title of a panel, and what its block is for
TALLEST = 1.42  # of a page, by its width

Linked = Callable[[Box], str]


@dataclass
class Block:
    """A panel with its frame, to be put on the page."""

    placed: Placed
    framed: bool
    w: float
    h: float


def scene(view: View, direction: str, linked: Linked) -> Scene:
    """Everything in its place; raises engine.TooSlow, or SpecError without Graphviz."""
    limit = WIDTH if direction == "LR" else TALL
    arrangements = []
    for panel in view.panels:
        whole = sum(box.macs for box in panel.boxes)
        cards = {
            box.key: Card(box, share(box, whole), direction == "LR", view.compared) for box in panel.boxes
        }
        inner = limit if panel is view.panels[0] else limit - 2 * INSET
        arrangements.append(Arrangement(panel, cards, direction, inner))
    asked = [a.graphs() for a in arrangements]
    drawn = iter(engine.run([g for graphs in asked for g in graphs], "dot", "json0"))
    blocks = []
    for i, (arrangement, graphs) in enumerate(zip(arrangements, asked, strict=True)):
        placed = arrangement.placed([next(drawn) for _ in graphs])
        blocks.append(framed(placed, i > 0))
    return composed(view, blocks, linked, direction)


def share(box: Box, macs: int) -> float:
    return box.macs / macs if macs and box.kind == "block" and box.mix else 0.0


def framed(placed: Placed, frame: bool) -> Block:
    if not frame:
        return Block(placed, False, placed.w, placed.h)
    head = width(placed.panel.title, 12, True) + 10 + width(used(placed.panel), 10)
    told = min(width(placed.panel.subtitle, 10), 330)
    return Block(
        placed,
        True,
        max(placed.w, head, told) + 2 * INSET,
        placed.h + 2 * INSET + head_room(placed.panel) + 8,
    )


def head_room(panel: Panel) -> float:
    return HEAD if panel.subtitle else HEAD - 14


def used(panel: Panel) -> str:
    return f"×{panel.uses}" if panel.uses > 1 else ""


def fitted(text: str, room: float, size: float = 10) -> str:
    """Text cut to a width, at a word."""
    if width(text, size) <= room:
        return text
    while text and width(text + " …", size) > room:
        text = text.rpartition(" ")[0]
    return text + " …" if text else ""


def composed(view: View, blocks: list[Block], linked: Linked, direction: str) -> Scene:
    page = Scene(view.title, described=view.subtitle)
    main, rest = blocks[0], blocks[1:]
    most = max([b.w for b in blocks] + [600.0])
    about = "" if view.compared else main.placed.panel.subtitle
    title = [
        Text(0, 16, view.title, 18, True),
        Text(0, 33, fitted(shown(about, 300), most), 10, False, "soft"),
        Text(0, 48 if about else 33, view.subtitle, 10, False, "mute"),
    ]
    page.groups.append(Group(tuple(t for t in title if t.text), "title"))
    y = title[-1].y + 18
    put(page, main, 0, y, linked, view.compared)
    beside = direction == "TB" and bool(rest)
    left = main.w + 1.5 * GAP if beside else 0.0
    top, bottom = y, y + main.h + GAP
    y = y if beside else bottom
    most = max((b.w for b in rest), default=0.0)
    most = max(most, WIDTH - left) if beside else max(main.w, most)
    room = max(TALLEST * max(left + most, WIDTH) - top, main.h) - (y - top) if view.page else None
    shown_on, unshown = shelves(rest, most, room)
    most = max([0.0 if beside else main.w, *(sum(b.w + GAP for b in shelf) - GAP for shelf in shown_on)])
    view = replace(
        view,
        left_out=(*unshown, *view.left_out),
        panels=tuple(p for p in view.panels if p.title not in unshown or p is view.panels[0]),
    )
    used_width = max([left + most, main.w, *(t.width for t in title)])
    for shelf in shown_on:
        x = left
        tallest = max(block.h for block in shelf)
        shelf[-1].w = most - sum(b.w + GAP for b in shelf[:-1])
        for block in shelf:
            block.h = tallest
        for block in shelf:
            put(page, block, x, y, linked, view.compared)
            x += block.w + GAP
        y += tallest + GAP
    y = max(y, bottom)
    y += legend(page, view, y, max(used_width, 300))
    page.width = max(used_width, right_edge(page)) + 2 * MARGIN
    page.height = y + 2 * MARGIN
    return moved(page, MARGIN, MARGIN)


def shelves(blocks: list[Block], limit: float, room: float | None) -> tuple[list[list[Block]], list[str]]:
    """Panels side by side where there is room, and the titles of those for which the page has none."""
    found: list[list[Block]] = []
    left: list[str] = []
    for block in blocks:
        for shelf in found:
            free = limit - sum(b.w + GAP for b in shelf)
            if block.w <= free and block.h <= 1.25 * shelf[0].h:
                shelf.append(block)
                break
        else:
            taken = sum(max(b.h for b in shelf) + GAP for shelf in found)
            if room is not None and found and taken + block.h > room:
                left.append(block.placed.panel.title)
            else:
                found.append([block])
    return found, left


def heading(block: Block, x: float, y: float) -> list[Shape]:
    """The frame of a panel, the block's name, how often it stands in the model, what it is for."""
    panel = block.placed.panel
    title = Text(x + INSET, y + 18, shown(panel.title, 48), 12, True)
    line, (thick, dash) = (f"mark:{panel.mark}", LINES[panel.mark]) if panel.mark else ("frame", (1.1, False))
    found: list[Shape] = [Rect(x, y, block.w, block.h, "panel", line, 9, thick, dash), title]
    if told := " · ".join(part for part in (used(panel), WORDS[panel.mark] if panel.mark else "") if part):
        found.append(Text(title.x + title.width + 8, y + 18, told, 10, False, "mute"))
    if told := fitted(shown(panel.subtitle, 200), block.w - 2 * INSET):
        found.append(Text(x + INSET, y + 33, told, 10, False, "mute"))
    return found


def put(page: Scene, block: Block, x: float, y: float, linked: Linked, compared: bool = False) -> None:
    placed = block.placed
    if block.framed:
        page.groups.append(Group(tuple(heading(block, x, y)), "panel", panel=placed.panel.key))
        x += INSET
        y += INSET + head_room(placed.panel) + 4
    for route in placed.routes:
        points = tuple((px + x, py + y) for px, py in route.points)
        line, thick = ("line:fusion", 1.5) if route.leap and not compared else ("edge", 1.25)
        if sort := route.link.mark:
            line, thick = f"mark:{sort}", LINES[sort][0]
        shapes: list[Shape] = [Curve(points, line, thick, route.arrow, LINES[route.link.mark][1])]
        page.groups.append(
            Group(tuple(shapes), "leap" if route.leap else "link", shown(route.link.type, 120))
        )
    for px, py in placed.dots:
        dot = Rect(x + px - DOT / 2, y + py - DOT / 2, DOT, DOT, "edge", "", DOT / 2)
        page.groups.append(Group((dot,), "junction"))
    shared(page, placed, x, y)
    for key, card in placed.cards.items():
        spot = placed.spots[key]
        x0, y0, _, _ = spot.box
        box = card.box
        page.groups.append(
            Group(
                tuple(card.shapes(x + x0, y + y0)),
                "box",
                told(box),
                linked(box),
                box.steps,
                placed.panel.key,
            )
        )
    for route in placed.routes:
        if route.label:
            px, py, text = route.label
            page.groups.append(
                Group((Text(x + px, y + py, shown(text, MOST_LABEL), 8, False, "mute", True),), "label")
            )


def shared(page: Scene, placed: Placed, x: float, y: float) -> None:
    """A dotted line between boxes that share weights and stand over each other."""
    by_step = {step: key for key, card in placed.cards.items() for step in card.box.steps}
    for key, card in placed.cards.items():
        owner = by_step.get(card.box.shares)
        if owner is None:
            continue
        a, b = placed.spots[owner], placed.spots[key]
        if abs(a.x - b.x) < (a.w + b.w) / 2 - 6:
            upper, lower = sorted((a, b), key=lambda s: s.y)
            at = (max(a.box[0], b.box[0]) + min(a.box[2], b.box[2])) / 2
            points = straight([(x + at, y + upper.box[3]), (x + at, y + lower.box[1])])
        elif abs(a.y - b.y) < (a.h + b.h) / 2 - 6:
            continue
        else:
            continue
        line = Curve(points, "shared", 1.4, False, True)
        page.groups.append(Group((line,), "shared", "the same weights"))


def told(box: Box) -> str:
    """What is told of a box to whoever points at it."""
    parts = [f"{box.name or box.title}"]
    if box.detail:
        parts[0] += f": {box.detail}"
    parts[:0] = [WORDS[box.mark]] if box.mark else []
    parts += box.notes
    parts += [f"{chip.step}: {chip.text}" for chip in box.chips]
    parts += [f"gives {box.type}"] * bool(box.type and box.form in ("card", "symbol"))
    parts += [f"{box.type}"] * bool(box.form in ("input", "output", "port"))
    parts += [f"{box.parameters:,} parameters"] * bool(box.parameters)
    parts += [f"{box.macs:,} multiply-adds"] * bool(box.macs)
    parts += [f"only if {box.condition}"] * (box.condition is not None)
    parts += [f"the weights of {box.shares}"] * bool(box.shares)
    if box.at is not None:
        place = box.at.place
        file = PurePath(place.file)  # a picture tells no folder of the machine that it was drawn on
        parts.append(f"{file.name if file.is_absolute() else file}:{place.line}")
    parts += [box.doc] * bool(box.doc)
    return "\n".join(shown(part, 160) for part in parts)


def moved(page: Scene, dx: float, dy: float) -> Scene:
    page.groups = [replace(g, shapes=tuple(shift(s, dx, dy) for s in g.shapes)) for g in page.groups]
    return page


def right_edge(page: Scene) -> float:
    edges = [0.0]
    for group in page.groups:
        for shape in group.shapes:
            if isinstance(shape, Text):
                edges.append(shape.x + shape.width * (0.5 if shape.middle else 1))
            elif isinstance(shape, Rect):
                edges.append(shape.x + shape.w)
    return max(edges)

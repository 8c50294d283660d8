"""The page: title, the model, a framed panel for each block that is opened, a legend of what is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath

from specbuild.diagram import graphviz_process as engine
from specbuild.diagram.box_shapes import Card
from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_LINES
from specbuild.diagram.legend import add_legend
from specbuild.diagram.panel_layout import JUNCTION_SIZE, MAX_LABEL, PanelLayout
from specbuild.diagram.row_layout import PlacedPanel
from specbuild.diagram.scene import Curve, Rect, Scene, Shape, ShapeGroup, Text, shift_shape, straight_path
from specbuild.diagram.text_metrics import display_text, text_width
from specbuild.diagram.view_model import Box, Panel, View

PAGE_WIDTH = 1000.0  # of the page's contents, where a chain may be turned into the next row
COLUMN_HEIGHT = 700.0
MARGIN = 22.0
INSET = 13.0
PANEL_GAP = 20.0
HEADING_HEIGHT = 28.0  # the title of a panel, and what its block is for
MAX_ASPECT = 1.42  # of a page, by its width

LinkFunction = Callable[[Box], str]


@dataclass
class FramedPanel:
    """A panel with its frame, to be put on the page."""

    placed: PlacedPanel
    has_frame: bool
    w: float
    h: float


def compose_scene(view: View, direction: str, link_for: LinkFunction) -> Scene:
    """Everything in its place; raises engine.TooSlow, or SpecError without Graphviz."""
    limit = PAGE_WIDTH if direction == "LR" else COLUMN_HEIGHT
    arrangements = []
    for panel in view.panels:
        whole = sum(box.macs for box in panel.boxes)
        cards = {
            box.key: Card(box, box_mac_share(box, whole), direction == "LR", view.is_diff)
            for box in panel.boxes
        }
        inner = limit if panel is view.panels[0] else limit - 2 * INSET
        arrangements.append(PanelLayout(panel, cards, direction, inner))
    graph_lists = [a.row_graphs() for a in arrangements]
    results = iter(engine.run_graphviz([g for graphs in graph_lists for g in graphs], "dot", "json0"))
    blocks = []
    for i, (arrangement, graphs) in enumerate(zip(arrangements, graph_lists, strict=True)):
        placed = arrangement.place_panel([next(results) for _ in graphs])
        blocks.append(frame_panel(placed, i > 0))
    return compose_page(view, blocks, link_for, direction)


def box_mac_share(box: Box, macs: int) -> float:
    return box.macs / macs if macs and box.kind == "block" and box.macs_by_kind else 0.0


def frame_panel(placed: PlacedPanel, has_frame: bool) -> FramedPanel:
    if not has_frame:
        return FramedPanel(placed, False, placed.w, placed.h)
    head = text_width(placed.panel.title, 12, True) + 10 + text_width(usage_label(placed.panel), 10)
    told = min(text_width(placed.panel.subtitle, 10), 330)
    return FramedPanel(
        placed,
        True,
        max(placed.w, head, told) + 2 * INSET,
        placed.h + 2 * INSET + heading_height(placed.panel) + 8,
    )


def heading_height(panel: Panel) -> float:
    return HEADING_HEIGHT if panel.subtitle else HEADING_HEIGHT - 14


def usage_label(panel: Panel) -> str:
    return f"×{panel.use_count}" if panel.use_count > 1 else ""


def fit_text(text: str, room: float, size: float = 10) -> str:
    """Text cut to a width, at a word."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + " …", size) > room:
        text = text.rpartition(" ")[0]
    return text + " …" if text else ""


def compose_page(view: View, blocks: list[FramedPanel], link_for: LinkFunction, direction: str) -> Scene:
    page = Scene(view.title, description=view.subtitle)
    main, rest = blocks[0], blocks[1:]
    max_width = max([b.w for b in blocks] + [600.0])
    about = "" if view.is_diff else main.placed.panel.subtitle
    title = [
        Text(0, 16, view.title, 18, True),
        Text(0, 33, fit_text(display_text(about, 300), max_width), 10, False, "soft"),
        Text(0, 48 if about else 33, view.subtitle, 10, False, "mute"),
    ]
    page.groups.append(ShapeGroup(tuple(t for t in title if t.text), "title"))
    y = title[-1].y + 18
    add_panel(page, main, 0, y, link_for, view.is_diff)
    beside = direction == "TB" and bool(rest)
    left = main.w + 1.5 * PANEL_GAP if beside else 0.0
    top, bottom = y, y + main.h + PANEL_GAP
    y = y if beside else bottom
    max_width = max((b.w for b in rest), default=0.0)
    max_width = max(max_width, PAGE_WIDTH - left) if beside else max(main.w, max_width)
    room = (
        max(MAX_ASPECT * max(left + max_width, PAGE_WIDTH) - top, main.h) - (y - top)
        if view.fits_page
        else None
    )
    shelves, omitted = fill_shelves(rest, max_width, room)
    max_width = max(
        [0.0 if beside else main.w, *(sum(b.w + PANEL_GAP for b in shelf) - PANEL_GAP for shelf in shelves)]
    )
    view = replace(
        view,
        omitted_blocks=(*omitted, *view.omitted_blocks),
        panels=tuple(p for p in view.panels if p.title not in omitted or p is view.panels[0]),
    )
    used_width = max([left + max_width, main.w, *(t.width for t in title)])
    for shelf in shelves:
        x = left
        tallest = max(block.h for block in shelf)
        shelf[-1].w = max_width - sum(b.w + PANEL_GAP for b in shelf[:-1])
        for block in shelf:
            block.h = tallest
        for block in shelf:
            add_panel(page, block, x, y, link_for, view.is_diff)
            x += block.w + PANEL_GAP
        y += tallest + PANEL_GAP
    y = max(y, bottom)
    y += add_legend(page, view, y, max(used_width, 300))
    page.width = max(used_width, right_edge(page)) + 2 * MARGIN
    page.height = y + 2 * MARGIN
    return shift_scene(page, MARGIN, MARGIN)


def fill_shelves(
    blocks: list[FramedPanel], limit: float, room: float | None
) -> tuple[list[list[FramedPanel]], list[str]]:
    """Panels side by side where there is room, and the titles of those for which the page has none."""
    shelves: list[list[FramedPanel]] = []
    omitted: list[str] = []
    for block in blocks:
        for shelf in shelves:
            free = limit - sum(b.w + PANEL_GAP for b in shelf)
            if block.w <= free and block.h <= 1.25 * shelf[0].h:
                shelf.append(block)
                break
        else:
            taken = sum(max(b.h for b in shelf) + PANEL_GAP for shelf in shelves)
            if room is not None and shelves and taken + block.h > room:
                omitted.append(block.placed.panel.title)
            else:
                shelves.append([block])
    return shelves, omitted


def heading_shapes(block: FramedPanel, x: float, y: float) -> list[Shape]:
    """The frame of a panel, the block's name, how often it stands in the model, what it is for."""
    panel = block.placed.panel
    title = Text(x + INSET, y + 18, display_text(panel.title, 48), 12, True)
    line, (thick, dash) = (
        (f"mark:{panel.change}", CHANGE_LINES[panel.change]) if panel.change else ("frame", (1.1, False))
    )
    shapes: list[Shape] = [Rect(x, y, block.w, block.h, "panel", line, 9, thick, dash), title]
    if told := " · ".join(
        part for part in (usage_label(panel), CHANGE_LABELS[panel.change] if panel.change else "") if part
    ):
        shapes.append(Text(title.x + title.width + 8, y + 18, told, 10, False, "mute"))
    if told := fit_text(display_text(panel.subtitle, 200), block.w - 2 * INSET):
        shapes.append(Text(x + INSET, y + 33, told, 10, False, "mute"))
    return shapes


def add_panel(
    page: Scene, block: FramedPanel, x: float, y: float, link_for: LinkFunction, is_diff: bool = False
) -> None:
    placed = block.placed
    if block.has_frame:
        page.groups.append(ShapeGroup(tuple(heading_shapes(block, x, y)), "panel", panel=placed.panel.key))
        x += INSET
        y += INSET + heading_height(placed.panel) + 4
    for route in placed.routes:
        points = tuple((px + x, py + y) for px, py in route.points)
        line, thick = ("line:fusion", 1.5) if route.is_skip and not is_diff else ("edge", 1.25)
        if sort := route.link.change:
            line, thick = f"mark:{sort}", CHANGE_LINES[sort][0]
        shapes: list[Shape] = [
            Curve(points, line, thick, route.has_arrow, CHANGE_LINES[route.link.change][1])
        ]
        page.groups.append(
            ShapeGroup(tuple(shapes), "leap" if route.is_skip else "link", display_text(route.link.type, 120))
        )
    for px, py in placed.dots:
        dot = Rect(
            x + px - JUNCTION_SIZE / 2,
            y + py - JUNCTION_SIZE / 2,
            JUNCTION_SIZE,
            JUNCTION_SIZE,
            "edge",
            "",
            JUNCTION_SIZE / 2,
        )
        page.groups.append(ShapeGroup((dot,), "junction"))
    add_weight_links(page, placed, x, y)
    for key, card in placed.cards.items():
        spot = placed.positions[key]
        x0, y0, _, _ = spot.bounds
        box = card.box
        page.groups.append(
            ShapeGroup(
                tuple(card.draw_shapes(x + x0, y + y0)),
                "box",
                box_tooltip(box),
                link_for(box),
                box.steps,
                placed.panel.key,
            )
        )
    for route in placed.routes:
        if route.label:
            px, py, text = route.label
            page.groups.append(
                ShapeGroup(
                    (Text(x + px, y + py, display_text(text, MAX_LABEL), 8, False, "mute", True),), "label"
                )
            )


def add_weight_links(page: Scene, placed: PlacedPanel, x: float, y: float) -> None:
    """A dotted line between boxes that share weights and stand over each other."""
    by_step = {step: key for key, card in placed.cards.items() for step in card.box.steps}
    for key, card in placed.cards.items():
        owner = by_step.get(card.box.weights_of)
        if owner is None:
            continue
        a, b = placed.positions[owner], placed.positions[key]
        if abs(a.x - b.x) < (a.w + b.w) / 2 - 6:
            upper, lower = sorted((a, b), key=lambda s: s.y)
            at = (max(a.bounds[0], b.bounds[0]) + min(a.bounds[2], b.bounds[2])) / 2
            points = straight_path([(x + at, y + upper.bounds[3]), (x + at, y + lower.bounds[1])])
        elif abs(a.y - b.y) < (a.h + b.h) / 2 - 6:
            continue
        else:
            continue
        line = Curve(points, "shared", 1.4, False, True)
        page.groups.append(ShapeGroup((line,), "shared", "the same weights"))


def box_tooltip(box: Box) -> str:
    """What is told of a box to whoever points at it."""
    parts = [f"{box.name or box.title}"]
    if box.detail:
        parts[0] += f": {box.detail}"
    parts[:0] = [CHANGE_LABELS[box.change]] if box.change else []
    parts += box.notes
    parts += [f"{chip.step}: {chip.text}" for chip in box.chips]
    parts += [f"gives {box.type}"] * bool(box.type and box.form in ("card", "symbol"))
    parts += [f"{box.type}"] * bool(box.form in ("input", "output", "port"))
    parts += [f"{box.parameters:,} parameters"] * bool(box.parameters)
    parts += [f"{box.macs:,} multiply-adds"] * bool(box.macs)
    parts += [f"only if {box.condition}"] * (box.condition is not None)
    parts += [f"the weights of {box.weights_of}"] * bool(box.weights_of)
    if box.at is not None:
        location = box.at.location
        file = PurePath(location.file)  # a picture tells no folder of the machine that it was drawn on
        parts.append(f"{file.name if file.is_absolute() else file}:{location.line}")
    parts += [box.doc] * bool(box.doc)
    return "\n".join(display_text(part, 160) for part in parts)


def shift_scene(page: Scene, dx: float, dy: float) -> Scene:
    page.groups = [replace(g, shapes=tuple(shift_shape(s, dx, dy) for s in g.shapes)) for g in page.groups]
    return page


def right_edge(page: Scene) -> float:
    edges = [0.0]
    for group in page.groups:
        for shape in group.shapes:
            if isinstance(shape, Text):
                edges.append(shape.x + shape.width * (0.5 if shape.is_centered else 1))
            elif isinstance(shape, Rect):
                edges.append(shape.x + shape.w)
    return max(edges)

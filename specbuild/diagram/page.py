"""Composes the page: a title, the panel of the model, a framed panel for each block, and a legend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from msgspec.structs import replace

from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_LINES
from specbuild.diagram.legend import add_legend
from specbuild.diagram.nested_frames import FrameCard
from specbuild.diagram.panel_layout import JUNCTION_SIZE, MAX_LABEL
from specbuild.diagram.panel_placement import (
    INSET,
    MARGIN,
    FramedPanel,
    PageFormat,
    heading_height,
    place_panels,
    usage_label,
)
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel
from specbuild.diagram.scene import (
    Curve,
    Rect,
    Scene,
    Shape,
    ShapeGroup,
    TextLine,
    shift_shape,
    straight_path,
)
from specbuild.diagram.shelves import Shelf, fill_shelves, total_height
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import Box, View

PANEL_GAP = 20.0
BESIDE_GAP = 1.5 * PANEL_GAP
LEGEND_ROOM = 64.0  # at the end of a printed page
MAX_ASPECT = 1.42  # height of a page / width

LinkFunction = Callable[[Box], str]  # the URL that a box links to, or an empty text


def compose_scene(
    view: View, direction: str, link_for: LinkFunction, page_format: PageFormat | None = None
) -> Scene:
    """Lay out all panels and compose the page. Raises LayoutTimeout, SB951 and SB954."""
    page_format = page_format or PageFormat()
    panels = place_panels(view, direction, page_format)
    return compose_page(view, panels, link_for, direction, page_format)


def panel_scene(framed: FramedPanel, link_for: LinkFunction, is_diff: bool) -> Scene:
    """Return a drawing of one panel, without its frame and heading."""
    placed = framed.placed
    page = Scene(placed.panel.title, description=placed.panel.subtitle)
    add_panel(page, replace(framed, has_frame=False), 0, 0, link_for, is_diff)
    page.width, page.height = max(placed.w, right_edge(page)) + 2 * INSET, placed.h + 2 * INSET
    return shift_scene(page, INSET, INSET)


def legend_scene(view: View, width: float) -> Scene:
    """Return a drawing of the legend."""
    page = Scene("Legend")
    page.groups += [ShapeGroup((), role) for role in sorted(link_roles(view))]
    page.height = add_legend(page, view, 0, width) + MARGIN
    page.width = right_edge(page) + 2 * INSET
    return shift_scene(page, INSET, INSET)


def link_roles(view: View) -> set[str]:
    """Return the roles of links that a legend explains and that do not follow from the boxes."""
    links = [link for panel in view.panels for link in panel.links]
    return {"leap"} | ({"size"} if any(link.gives_size for link in links) else set())


def fit_text(text: str, room: float, size: float = 10) -> str:
    """Return a text cut to a width, between two words."""
    if measure_text(text, size) <= room:
        return text
    while text and measure_text(text + " …", size) > room:
        text = text.rpartition(" ")[0]
    return text + " …" if text else ""


def compose_page(
    view: View, panels: list[FramedPanel], link_for: LinkFunction, direction: str, page_format: PageFormat
) -> Scene:
    """Return the page with the title, the main panel, the other panels below it (TB: beside it) and the legend."""
    page = Scene(view.title, description=view.subtitle)
    page_room = page_format.width - (2 * page_format.margin if page_format.is_fixed else 0)
    main, others, too_wide, is_beside = part_panels(view, panels, direction, page_format, page_room)
    room_for_title = page_room if page_format.is_fixed else 600.0
    title = title_texts(view, main, max([room_for_title, main.w, *(panel.w for panel in others)]))
    page.groups.append(ShapeGroup(tuple(text for text in title if text.text), "title"))
    top = max(text.y for text in title if text.text) + 18
    add_panel(page, main, 0, top, link_for, view.is_diff)
    widest = max((panel.w for panel in others), default=0.0)
    left = main.w + BESIDE_GAP
    left = left if is_beside else 0.0
    bottom = top + main.h + PANEL_GAP
    y = top if is_beside else bottom
    limit = max(widest, page_room - left) if is_beside else max(main.w, widest)
    if page_format.is_fixed:
        limit = max(limit, page_room - left)
    room = None
    if view.fits_page:
        height = page_format.height or MAX_ASPECT * max(left + limit, page_format.width)
        if page_format.height and page_format.has_legend:
            height -= LEGEND_ROOM
        room = max(height - top, main.h * (not page_format.is_fixed)) - (y - top)
    shelves, left_over = fill_shelves(others, limit, room, PANEL_GAP, needs_one=not page_format.is_fixed)
    if not page_format.is_fixed and y + total_height(shelves, PANEL_GAP) > MAX_ASPECT * (left + limit):
        limit = max(limit, page_room - left)  # a wider page is less tall
        shelves, left_over = fill_shelves(others, limit, room, PANEL_GAP)
    left_out = [*left_over, *too_wide]
    omitted = [panel.placed.panel.title for panel in panels if panel in left_out]
    shelf_width = max([0.0 if is_beside else main.w, *(shelf.width for shelf in shelves)])
    for shelf in shelves:
        shelf.stretch_panels(shelf_width)
        add_shelf(page, shelf, left, y, link_for, view.is_diff)
        y += shelf.height + PANEL_GAP
    y = max(y, bottom)
    page_width = max([left + shelf_width, main.w, *(text.width for text in title)])
    if page_format.has_legend:
        legend_room = max(page_width, page_room if page_format.is_fixed else 250)
        y += add_legend(page, without_panels(view, omitted), y, legend_room)
    page.width = max(page_width, right_edge(page)) + 2 * page_format.margin
    page.height = y + 2 * page_format.margin
    return shift_scene(page, page_format.margin, page_format.margin)


def part_panels(
    view: View, panels: list[FramedPanel], direction: str, page_format: PageFormat, page_room: float
) -> tuple[FramedPanel, list[FramedPanel], list[FramedPanel], bool]:
    """Return the main panel, the others, those that are too wide for a printed page, and whether to put others beside.

    Only a view that may omit panels leaves some out, if the page asks for it.
    """
    main, others = panels[0], panels[1:]
    room_beside = page_room - main.w - BESIDE_GAP
    is_down = direction == "TB" and bool(others)
    if not page_format.is_fixed:
        return main, others, [], is_down
    if not (view.fits_page and page_format.omits_wide):
        return main, others, [], is_down and all(panel.w <= room_beside for panel in others)
    is_beside = is_down and any(panel.w <= room_beside for panel in others)
    widest = room_beside if is_beside else max(page_room, main.w)
    kept = [panel for panel in others if panel.w <= widest]
    return main, kept, [panel for panel in others if panel.w > widest], is_beside


def title_texts(view: View, main: FramedPanel, limit: float) -> list[TextLine]:
    """Return the title, the description and the line of numbers, one below the other. Texts may be empty."""
    description = "" if view.is_diff else main.placed.panel.subtitle
    return [
        TextLine(0, 16, view.title, 18, True),
        TextLine(0, 33, fit_text(display_text(description, 300), limit), 10, False, "soft"),
        TextLine(0, 48 if description else 33, view.subtitle, 10, False, "mute"),
    ]


def without_panels(view: View, omitted: list[str]) -> View:
    """Return a view without the panels with these titles, which become omitted blocks."""
    return replace(
        view,
        omitted_blocks=(*omitted, *view.omitted_blocks),
        panels=tuple(p for p in view.panels if p.title not in omitted or p is view.panels[0]),
    )


def add_shelf(
    page: Scene, shelf: Shelf[FramedPanel], x: float, y: float, link_for: LinkFunction, is_diff: bool
) -> None:
    """Add the panels of a shelf, column by column."""
    for column in shelf.columns:
        top = y
        for panel in column:
            add_panel(page, panel, x, top, link_for, is_diff)
            top += panel.h + PANEL_GAP
        x += column[0].w + PANEL_GAP


def heading_shapes(framed: FramedPanel, x: float, y: float) -> list[Shape]:
    """Return the frame of a panel, with the name of the block, its use count or change, and its description."""
    panel = framed.placed.panel
    title = TextLine(x + INSET, y + 18, display_text(panel.title, 48), 12, True)
    line, stroke_width, is_dashed = "frame", 1.1, False
    if panel.change:
        line, (stroke_width, is_dashed) = f"mark:{panel.change}", CHANGE_LINES[panel.change]
    frame = Rect(x, y, framed.w, framed.h, "panel", line, 9, stroke_width, is_dashed)
    shapes: list[Shape] = [frame, title]
    remarks = [usage_label(panel), CHANGE_LABELS[panel.change] if panel.change else ""]
    if remark := " · ".join(part for part in remarks if part):
        shapes.append(TextLine(title.x + title.width + 8, y + 18, remark, 10, False, "mute"))
    if subtitle := fit_text(display_text(panel.subtitle, 200), framed.w - 2 * INSET):
        shapes.append(TextLine(x + INSET, y + 33, subtitle, 10, False, "mute"))
    return shapes


def add_panel(
    page: Scene, framed: FramedPanel, x: float, y: float, link_for: LinkFunction, is_diff: bool = False
) -> None:
    """Add a panel whose top left corner is at x, y: frame, links, junctions, boxes, and labels on top."""
    placed = framed.placed
    key = placed.panel.key
    if framed.has_frame:
        page.groups.append(ShapeGroup(tuple(heading_shapes(framed, x, y)), "panel", panel=key))
        x += INSET
        y += INSET + heading_height(placed.panel) + 4
    for route in placed.routes:
        curve = route_curve(route, x, y, is_diff)
        role = "size" if route.link.gives_size else "leap" if route.is_skip else "link"
        what = "only the size of " if route.link.gives_size else ""
        tooltip = what + display_text(route.link.type, 120)
        ends = (route.link.tail, route.link.head)
        page.groups.append(ShapeGroup((curve,), role, tooltip, panel=key, ends=ends))
    radius = JUNCTION_SIZE / 2
    for px, py in placed.dots:
        dot = Rect(x + px - radius, y + py - radius, JUNCTION_SIZE, JUNCTION_SIZE, "edge", "", radius)
        page.groups.append(ShapeGroup((dot,), "junction"))
    add_weight_links(page, placed, x, y)
    for box_key, card in placed.cards.items():
        left, top, _, _ = placed.positions[box_key].bounds
        box, shapes = card.box, tuple(card.draw_shapes(x + left, y + top))
        page.groups.append(
            ShapeGroup(
                shapes, "box", box_tooltip(box), link_for(box), box.steps, key, box_key, opens=box.opens_panel
            )
        )
        if isinstance(card, FrameCard):
            inner = FramedPanel(card.inside, False, card.inside.w, card.inside.h)
            dx, dy = card.inner_offset
            add_panel(page, inner, x + left + dx, y + top + dy, link_for, is_diff)
    small = next((card.format.small_size for card in placed.cards.values()), 8.0)
    for route in placed.routes:
        if route.label:
            px, py, text = route.label
            label = TextLine(x + px, y + py, display_text(text, MAX_LABEL), small, False, "mute", True)
            page.groups.append(ShapeGroup((label,), "label"))


def route_curve(route: LinkRoute, x: float, y: float, is_diff: bool) -> Curve:
    """Return the line of a link, in a panel whose contents start at x, y."""
    points = tuple((px + x, py + y) for px, py in route.points)
    change = route.link.change
    line, stroke_width = ("line:fusion", 1.5) if route.is_skip and not is_diff else ("edge", 1.25)
    if route.link.gives_size:
        line, stroke_width = "edge", 1.0
    if change:
        line, stroke_width = f"mark:{change}", CHANGE_LINES[change][0]
    is_dashed = CHANGE_LINES[change][1] or route.link.gives_size
    return Curve(points, line, stroke_width, route.has_arrow, is_dashed)


def add_weight_links(page: Scene, placed: PlacedPanel, x: float, y: float) -> None:
    """Add a dotted line between two boxes that share weights, if one is above the other."""
    box_of_step = {step: key for key, card in placed.cards.items() for step in card.box.steps}
    for key, card in placed.cards.items():
        owner = box_of_step.get(card.box.weights_of)
        if owner is None:
            continue
        a, b = placed.positions[owner], placed.positions[key]
        if abs(a.x - b.x) >= (a.w + b.w) / 2 - 6:
            continue
        upper, lower = sorted((a, b), key=lambda position: position.y)
        middle = (max(a.bounds[0], b.bounds[0]) + min(a.bounds[2], b.bounds[2])) / 2
        points = straight_path([(x + middle, y + upper.bounds[3]), (x + middle, y + lower.bounds[1])])
        line = Curve(points, "shared", 1.4, False, True)
        page.groups.append(ShapeGroup((line,), "shared", "the same weights"))


def box_tooltip(box: Box) -> str:
    """Return the tooltip of a box."""
    parts = [f"{box.name or box.title}"]
    if box.detail:
        parts[0] += f": {box.detail}"
    parts[:0] = [CHANGE_LABELS[box.change]] if box.change else []
    parts += box.notes
    parts += [f"{chip.step}: {chip.text}" for chip in box.chips]
    parts += [f"output {box.type}"] * bool(box.type and box.form in ("card", "symbol"))
    parts += [f"{box.type}"] * bool(box.form in ("input", "output", "port"))
    parts += [f"{box.parameters:,} parameters"] * bool(box.parameters)
    parts += [f"{box.macs:,} multiply-adds"] * bool(box.macs)
    parts += [f"only if {box.condition}"] * (box.condition is not None)
    parts += [f"shares the weights of {box.weights_of}"] * bool(box.weights_of)
    if box.at is not None:
        location = box.at.location
        file = PurePath(location.file)  # a diagram must not contain the folders of the machine
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
            if isinstance(shape, TextLine):
                edges.append(shape.x + shape.width * (0.5 if shape.is_centered else 1))
            elif isinstance(shape, Rect):
                edges.append(shape.x + shape.w)
    return max(edges)

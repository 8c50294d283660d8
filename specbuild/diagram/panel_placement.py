"""Lays out all panels of a view: each with a frame of its own, or inside the box that opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from specbuild.diagram import graphviz_process
from specbuild.diagram.box_shapes import Card
from specbuild.diagram.card_rows import FULL_FORMAT, CardFormat
from specbuild.diagram.nested_frames import FrameCard, PanelTree, frames_to_close, nest_panels
from specbuild.diagram.panel_layout import PanelLayout
from specbuild.diagram.panel_rows import ROW_SLACK
from specbuild.diagram.row_layout import PlacedPanel
from specbuild.diagram.text_metrics import measure_text
from specbuild.diagram.view_model import Box, Panel, View

PAGE_WIDTH = 1000.0  # about the length of a row of boxes that runs to the right
COLUMN_HEIGHT = 700.0  # the same for a column that runs down
NARROW_PAGE = 450.0  # on which two columns do not fit
MAX_NESTED_WIDTH = 3000.0  # of a picture whose blocks are inside of each other
WIDER_PAGE = 1.05  # how much wider the page may be if a panel then has fewer rows
MAX_TRIALS = 8
MARGIN = 22.0
PRINTED_MARGIN = 4.0  # of a picture with a fixed width: the page around it has margins
INSET = 13.0  # from the frame of a panel to its contents
HEADING_HEIGHT = 28.0  # of a panel: the title and the description of its block


class PageFormat(Struct, frozen=True):
    """What a page looks like. With `is_fixed`, rows are broken so that the page is not wider, if possible."""

    width: float = PAGE_WIDTH
    is_fixed: bool = False
    has_legend: bool = True
    is_nested: bool = False  # whether blocks are frames inside of others, rather than panels below
    height: float = 0.0  # of a printed page, which panels must not exceed
    omits_wide: bool = False  # whether panels that are too wide for a printed page may be left out
    cards: CardFormat = FULL_FORMAT
    has_counts: bool = True  # parameters and multiply-adds

    @property
    def margin(self) -> float:
        return PRINTED_MARGIN if self.is_fixed else MARGIN


class FramedPanel(Struct):
    """A panel with the size of its frame."""

    placed: PlacedPanel
    has_frame: bool
    w: float
    h: float


def place_panels(view: View, direction: str, page_format: PageFormat) -> list[FramedPanel]:
    """Lay out all panels, and return those that are drawn on the page. Raises LayoutTimeout, SB951 and SB954.

    The first is that of the model. Frames that make a picture too wide are closed: their panels are drawn below.
    """
    if not page_format.is_nested:
        return place_tree(PanelTree(view.panels), view.is_diff, direction, page_format)
    widest = page_format.width if page_format.is_fixed else MAX_NESTED_WIDTH
    closed: set[str] = set()
    for _ in range(MAX_TRIALS):
        framed = place_tree(nest_panels(view, closed), view.is_diff, direction, page_format)
        too_wide = [
            key for panel in framed if panel.w > widest for key in frames_to_close(panel.placed, widest)
        ]
        if not too_wide:
            return framed
        closed.update(too_wide)
    return place_tree(PanelTree(view.panels), view.is_diff, direction, page_format)


def place_tree(tree: PanelTree, is_diff: bool, direction: str, page_format: PageFormat) -> list[FramedPanel]:
    """Lay out the panels inside of boxes before those around them, and return those around."""
    placed: dict[str, PlacedPanel] = {}
    for panels in tree.levels_inside_out():
        placed |= place_together(panels, tree, placed, is_diff, direction, page_format)
    return [frame_panel(placed[panel.key], i > 0) for i, panel in enumerate(tree.outer_panels)]


def place_together(
    panels: Sequence[Panel],
    tree: PanelTree,
    inside: Mapping[str, PlacedPanel],
    is_diff: bool,
    direction: str,
    page_format: PageFormat,
) -> dict[str, PlacedPanel]:
    """Lay out panels in one run of Graphviz; `inside` has the panels that their boxes open.

    Where one panel makes the page wider than planned, others have fewer and longer rows if these fit into that width.
    """
    limit = length_limit(direction, page_format)
    layouts = []
    for panel in panels:
        macs = sum(box.macs for box in panel.boxes)
        cards: dict[str, Card] = {}
        for box in panel.boxes:
            inner = tree.inner_panels.get((panel.key, box.key))
            share, is_horizontal = box_mac_share(box, macs), direction == "LR"
            cards[box.key] = (
                FrameCard(box, inside[inner], is_horizontal, is_diff, page_format.cards)
                if inner
                else Card(box, share, is_horizontal, is_diff, page_format.cards)
            )
        room = limit - 2 * INSET * tree.depth_of(panel)
        layouts.append(PanelLayout(panel, cards, direction, room, page_format.is_fixed))
    placed = run_layouts(layouts)
    if direction == "LR" and not page_format.is_fixed:
        borders = {panel.key: 2 * INSET * tree.depth_of(panel) for panel in panels}
        placed |= lengthen_rows(layouts, placed, borders)
    return placed


def lengthen_rows(
    layouts: Sequence[PanelLayout], placed: Mapping[str, PlacedPanel], borders: Mapping[str, float]
) -> dict[str, PlacedPanel]:
    """Return the panels that have fewer rows if each row may be as long as the widest panel, with its borders."""
    widest = max((panel.w + borders[key] for key, panel in placed.items()), default=0.0)
    rooms = {key: widest * WIDER_PAGE - border for key, border in borders.items()}
    longer = []
    for layout in layouts:
        if len(layout.rows) > 1:
            other = PanelLayout(layout.panel, layout.cards, "LR", rooms[layout.panel.key] / ROW_SLACK)
            longer += [other] * (len(other.rows) < len(layout.rows))
    try:
        return {key: panel for key, panel in run_layouts(longer).items() if panel.w <= rooms[key]}
    except graphviz_process.LayoutTimeout:
        return {}  # the rows stay as they are


def run_layouts(layouts: Sequence[PanelLayout]) -> dict[str, PlacedPanel]:
    """Return the panels with the positions that one run of Graphviz gives their boxes."""
    graphs = [layout.row_graphs() for layout in layouts]
    outputs = iter(graphviz_process.run_graphviz([g for rows in graphs for g in rows], "dot", "json0"))
    return {
        layout.panel.key: layout.place_panel([next(outputs) for _ in rows])
        for layout, rows in zip(layouts, graphs, strict=True)
    }


def length_limit(direction: str, page_format: PageFormat) -> float:
    """Return how long a row of boxes may be."""
    if direction == "TB":
        is_narrow = page_format.is_fixed and page_format.width < NARROW_PAGE
        return COLUMN_HEIGHT * (2 if is_narrow else 1)
    return (page_format.width - 2 * page_format.margin) / ROW_SLACK if page_format.is_fixed else PAGE_WIDTH


def box_mac_share(box: Box, macs: int) -> float:
    """Return the share of a block in the multiply-adds of its panel; 0 for boxes without a bar."""
    return box.macs / macs if macs and box.kind == "block" and box.macs_by_kind else 0.0


def frame_panel(placed: PlacedPanel, has_frame: bool) -> FramedPanel:
    if not has_frame:
        return FramedPanel(placed, False, placed.w, placed.h)
    title_width = measure_text(placed.panel.title, 12, True)
    heading_width = title_width + 10 + measure_text(usage_label(placed.panel), 10)
    subtitle_width = min(measure_text(placed.panel.subtitle, 10), 330)
    return FramedPanel(
        placed,
        True,
        max(placed.w, heading_width, subtitle_width) + 2 * INSET,
        placed.h + 2 * INSET + heading_height(placed.panel) + 8,
    )


def heading_height(panel: Panel) -> float:
    return HEADING_HEIGHT if panel.subtitle else HEADING_HEIGHT - 14


def usage_label(panel: Panel) -> str:
    return f"×{panel.use_count}" if panel.use_count > 1 else ""

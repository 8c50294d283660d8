"""Lays out one panel: Graphviz lays out each row, and the rows follow each other like lines of text.

A panel with levels of resolution, or with rows that the spec numbers, is laid out without Graphviz.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.graphviz_process import run_graphviz
from specbuild.diagram.label_places import settle_labels
from specbuild.diagram.level_layout import LevelLayout
from specbuild.diagram.numbered_rows import arrange_rows
from specbuild.diagram.panel_rows import (
    ROW_SLACK,
    PanelRow,
    RowDivision,
    find_siblings,
    main_links,
    route_directly,
)
from specbuild.diagram.resolution_levels import arrange_levels
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel, RowLayout, sample_curve, shift_panel
from specbuild.diagram.scene import Point, rounded_path
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import Link, Panel

ROW_GAP = 30.0
JUNCTION_SIZE = 5.0
MAX_LABEL = 40  # characters


class PanelLayout:
    """The layout of one panel. `row_graphs` is the input for Graphviz, `place_panel` reads its output.

    In the graph of a row, a node is a box (its key), a junction (`j` and the key of its box), or `in` or
    `out`, where links from an earlier and to a later row end. The id of an edge is `p` and the number of a
    direct link, `s` and the number of an entry link, or `o` for the link to `out`.
    """

    def __init__(
        self,
        panel: Panel,
        cards: Mapping[str, Card],
        direction: str,
        limit: float,
        has_fixed_width: bool = False,
    ) -> None:
        self.panel, self.cards = panel, cards
        self.is_horizontal = direction == "LR"
        self.output_counts = Counter(link.tail for link in panel.links)
        self.input_counts = Counter(link.head for link in panel.links)
        division = RowDivision(panel, cards, self.is_horizontal, limit)
        order = division.order_boxes()
        self.levels = self.arrange_boxes(order, limit, has_fixed_width) if self.is_horizontal else None
        self.rows = [] if self.levels else division.split_rows()

    def arrange_boxes(self, order: Sequence[str], limit: float, has_fixed_width: bool) -> LevelLayout | None:
        """Return a grid for rows that the spec numbers, else for levels of resolution; None without both.

        On a page of a fixed width, the narrow form of the levels if they are too wide, or if it is less high.
        """
        grid = arrange_rows(self.panel, order)
        if grid or not (grid := arrange_levels(self.panel, order)):
            return LevelLayout(self.panel, self.cards, order, grid) if grid else None
        layout = LevelLayout(self.panel, self.cards, order, grid)
        narrow = arrange_levels(self.panel, order, is_narrow=True)
        if not has_fixed_width or narrow is None:
            return layout
        room = limit * ROW_SLACK
        options = (layout, LevelLayout(self.panel, self.cards, order, narrow))
        return min(options, key=lambda option: (max(option.width, room), option.height))

    # -- input for Graphviz

    def row_graphs(self) -> list[str]:
        return [self.row_graph(row) for row in self.rows]

    def row_graph(self, row: PanelRow) -> str:
        """Return a row in the DOT language. It has sizes and keys, but no text of the spec."""
        rank_direction, rank_gap = ("LR", 0.33) if self.is_horizontal else ("TB", 0.3)
        lines = [
            "digraph {",
            f"graph [rankdir={rank_direction}, nodesep=0.2, ranksep={rank_gap}, "
            "splines=spline, outputorder=nodesfirst];",
            'node [shape=box, fixedsize=true, label="", margin=0];',
            "edge [arrowhead=none];",
            *self.graph_nodes(row),
        ]
        for key, dot in row.junctions.items():
            lines.append(f"{key} -> {dot} [weight=100];")
        straight_links = main_links(row)
        for i, link in enumerate(row.direct_links):
            tail = row.junctions.get(link.tail, link.tail)
            weight = 60 if link in straight_links else 1
            lines.append(self.graph_edge(tail, link.head, f"p{i}", link.label, weight))
        for i, link in enumerate(row.entry_links):
            lines.append(self.graph_edge("in", link.head, f"s{i}", link.label))
        for keys in find_siblings(row):
            order = " -> ".join(keys)
            lines.append(f"{{rank=same; {order} [style=invis]}}")
        if row.exit_key:
            tail = "in" if row.exit_key == row.entry_key else row.exit_key
            lines.append(self.graph_edge(row.junctions.get(tail, tail), "out", "o", ""))
        return "\n".join([*lines, "}"])

    def graph_nodes(self, row: PanelRow) -> list[str]:
        """Return the nodes of a row: its boxes, its junctions, and where links from and to other rows end."""
        lines = []
        for key in row.keys:
            card = self.cards[key]
            extra = 2 * card.stack_height / 72
            shape = "ellipse" if card.box.form == "symbol" and not card.has_label else "box"
            w, h = card.w + 2 * card.label_width, card.h + 2 * card.label_height
            lines.append(f"{key} [shape={shape}, width={w / 72:.4f}, height={h / 72 + extra:.4f}];")
        size = f"{JUNCTION_SIZE / 72:.4f}"
        for dot in row.junctions.values():
            lines.append(f"{dot} [shape=circle, width={size}, height={size}];")
        if row.entry_key:
            lines.append("in [shape=circle, width=0.01, height=0.01];")
        if row.exit_key:
            lines.append("out [shape=circle, width=0.01, height=0.01];")
        return lines

    def graph_edge(self, tail: str, head: str, name: str, label: str, weight: int = 60) -> str:
        """Return an edge. For a label it has an empty table of the same size."""
        table = ""
        if label:
            w, h = measure_text(display_text(label, MAX_LABEL), 8) + 8, 12
            table = (
                ', label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" '
                f'WIDTH="{w:.0f}" HEIGHT="{h}"><TR><TD></TD></TR></TABLE>>'
            )
        out, into = ("e", "w") if self.is_horizontal else ("s", "n")
        ports = f", tailport={out}" if tail in self.cards and self.output_counts[tail] == 1 else ""
        if head in self.cards and (self.input_counts[head] == 1 or self.cards[head].has_label):
            ports += f", headport={into}"
        return f"{tail} -> {head} [id={name}, weight={weight}{ports}{table}];"

    # -- output of Graphviz

    def place_panel(self, outputs: Sequence[bytes]) -> PlacedPanel:
        """Return the panel with positions. `outputs` are the JSON texts of Graphviz, one for each row."""
        placed = self.levels.place_panel() if self.levels is not None else self.place_rows(outputs)
        settle_labels(placed)
        return placed

    def place_rows(self, outputs: Sequence[bytes]) -> PlacedPanel:
        """Return the panel with one row after another."""
        placed = PlacedPanel(self.panel, self.cards)
        offset = 0.0
        layouts: list[RowLayout] = []
        for row, output in zip(self.rows, outputs, strict=True):
            layout = self.lay_out_row(row, output)
            dx, dy = (0.0, offset) if self.is_horizontal else (offset, 0.0)
            layout.shift_by(dx - layout.left, dy - layout.top)
            placed.positions.update(layout.positions)
            placed.dots += layout.dots
            placed.routes += layout.routes
            extent = layout.bottom - layout.top if self.is_horizontal else layout.right - layout.left
            layouts.append(layout)
            placed.w = max(placed.w, layout.right)
            placed.h = max(placed.h, layout.bottom)
            offset += extent + ROW_GAP
        right = self.connect_rows(placed, layouts)
        fit_routes(placed)
        placed.w = max(placed.w, right)
        return placed

    def lay_out_row(self, row: PanelRow, output: bytes) -> RowLayout:
        """Return the layout of a row. Graphviz routes again the skip links that would be under boxes."""
        layout = RowLayout(row, json.loads(output), self.cards, self.is_horizontal)
        hidden = layout.hidden_links()
        if not hidden:
            return layout
        other_row = route_directly(row, hidden)
        [other_output] = run_graphviz([self.row_graph(other_row)], "dot", "json0")
        other = RowLayout(other_row, json.loads(other_output), self.cards, self.is_horizontal)
        return other if len(other.hidden_links()) < len(hidden) else layout

    def connect_rows(self, placed: PlacedPanel, layouts: Sequence[RowLayout]) -> float:
        """Add a route from the end of each row to the start of the next.

        Returns the x of the rightmost corner of the routes.
        """
        right = 0.0
        for layout, following in pairwise(layouts):
            row = following.row
            if row.entry_key:
                turn = horizontal_turn if self.is_horizontal else vertical_turn
                points = turn(layout, following)
                head = row.entry_links[0].head if row.entry_links else ""
                link = Link(layout.row.exit_key, head, "", "")
                placed.routes.append(LinkRoute(rounded_path(points), link, has_arrow=False))
                right = max(right, *(x for x, _ in points))
        return right


def horizontal_turn(layout: RowLayout, following: RowLayout) -> list[Point]:
    """Return the corners of a route that runs between two rows, one above the other."""
    start, end = layout.exit_point or (0.0, 0.0), following.entry_point or (0.0, 0.0)
    y = (layout.bottom + following.top) / 2
    x0, x1 = start[0] + 10, end[0] - 10
    return [start, (x0, start[1]), (x0, y), (x1, y), (x1, end[1]), end]


def vertical_turn(layout: RowLayout, following: RowLayout) -> list[Point]:
    """Return the corners of a route that runs between two rows, side by side."""
    start, end = layout.exit_point or (0.0, 0.0), following.entry_point or (0.0, 0.0)
    x = (layout.right + following.left) / 2
    y0, y1 = start[1] + 10, end[1] - 10
    return [start, (start[0], y0), (x, y0), (x, y1), (end[0], y1), end]


def fit_routes(placed: PlacedPanel) -> None:
    """Shift and enlarge a panel so that all routes are inside."""
    points = [point for route in placed.routes for point in sample_curve(route.points)]
    left = min((x for x, _ in points), default=0)
    top = min((y for _, y in points), default=0)
    if left < 0 or top < 0:
        shift_panel(placed, -min(left, 0), -min(top, 0))
    placed.w = max(placed.w, max((x - min(left, 0) for x, _ in points), default=0))
    placed.h = max(placed.h, max((y - min(top, 0) for _, y in points), default=0))

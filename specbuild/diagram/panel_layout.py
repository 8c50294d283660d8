"""Lays out one panel: Graphviz lays out each row, and the rows follow each other like lines of text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.panel_rows import PanelRow, RowDivision, main_links
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel, RowLayout, shift_panel
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

    def __init__(self, panel: Panel, cards: Mapping[str, Card], direction: str, limit: float) -> None:
        self.panel, self.cards = panel, cards
        self.is_horizontal = direction == "LR"
        self.output_counts = Counter(link.tail for link in panel.links)
        self.input_counts = Counter(link.head for link in panel.links)
        self.rows = RowDivision(panel, cards, self.is_horizontal, limit).split_rows()

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
        placed = PlacedPanel(self.panel, self.cards)
        offset = 0.0
        ends: list[tuple[Point, Point]] = []
        for row, output in zip(self.rows, outputs, strict=True):
            layout = RowLayout(row, json.loads(output), self.cards, self.is_horizontal)
            dx, dy = (0.0, offset) if self.is_horizontal else (offset, 0.0)
            layout.shift_by(dx - layout.left, dy - layout.top)
            placed.positions.update(layout.positions)
            placed.dots += layout.dots
            placed.routes += layout.routes
            extent = layout.bottom - layout.top if self.is_horizontal else layout.right - layout.left
            ends.append((layout.entry_point or (0, 0), layout.exit_point or (0, 0)))
            placed.w = max(placed.w, layout.right)
            placed.h = max(placed.h, layout.bottom)
            offset += extent + ROW_GAP
        right = self.connect_rows(placed, ends)
        fit_routes(placed)
        placed.w = max(placed.w, right)
        return placed

    def connect_rows(self, placed: PlacedPanel, ends: list[tuple[Point, Point]]) -> float:
        """Add a route from the end of each row to the start of the next. `ends` has both points for each row.

        Returns the x of the rightmost corner of the routes.
        """
        right = 0.0
        rows = list(zip(self.rows, ends, strict=True))
        for (row, (_, exit_point)), (next_row, (entry_point, _)) in pairwise(rows):
            if next_row.entry_key:
                turn = self.horizontal_turn if self.is_horizontal else self.vertical_turn
                points = turn(placed, row, next_row, exit_point, entry_point)
                head = next_row.entry_links[0].head if next_row.entry_links else ""
                link = Link(row.exit_key, head, "", "")
                placed.routes.append(LinkRoute(rounded_path(points), link, has_arrow=False))
                right = max(right, *(x for x, _ in points))
        return right

    def horizontal_turn(
        self, placed: PlacedPanel, row: PanelRow, next_row: PanelRow, start: Point, end: Point
    ) -> list[Point]:
        """Return the corners of a route that runs between two rows, one above the other."""
        above = max(placed.positions[key].bounds[3] for key in row.keys)
        below = min(placed.positions[key].bounds[1] - self.cards[key].stack_height for key in next_row.keys)
        skip_tops = [
            y for route in placed.routes if route.is_skip for _, y in route.points if above < y <= end[1]
        ]
        below = min([below, *skip_tops])
        y = (above + below) / 2 if below > above else above + ROW_GAP / 2
        x0, x1 = start[0] + 10, end[0] - 10
        return [start, (x0, start[1]), (x0, y), (x1, y), (x1, end[1]), end]

    def vertical_turn(
        self, placed: PlacedPanel, row: PanelRow, next_row: PanelRow, start: Point, end: Point
    ) -> list[Point]:
        """Return the corners of a route that runs between two rows, side by side."""
        left = max(placed.positions[key].bounds[2] for key in row.keys)
        right = min(placed.positions[key].bounds[0] for key in next_row.keys)
        x = (left + right) / 2
        y0, y1 = start[1] + 10, end[1] - 10
        return [start, (start[0], y0), (x, y0), (x, y1), (end[0], y1), end]


def fit_routes(placed: PlacedPanel) -> None:
    """Shift and enlarge a panel so that all routes are inside."""
    left = min((x for route in placed.routes for x, _ in route.points), default=0)
    top = min((y for route in placed.routes for _, y in route.points), default=0)
    if left < 0 or top < 0:
        shift_panel(placed, -min(left, 0), -min(top, 0))
    placed.w = max(placed.w, max((x for route in placed.routes for x, _ in route.points), default=0))
    placed.h = max(placed.h, max((y for route in placed.routes for _, y in route.points), default=0))

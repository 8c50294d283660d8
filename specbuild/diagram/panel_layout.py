"""Where the boxes of one panel stand: each row placed by Graphviz, the rows one after another as lines of text are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.panel_rows import PanelRow, RowDivision, main_links
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel, RowLayout, shift_panel
from specbuild.diagram.scene import Point, rounded_path
from specbuild.diagram.text_metrics import display_text, text_width
from specbuild.diagram.view_model import Link, Panel

ROW_GAP = 30.0
JUNCTION_SIZE = 5.0  # a junction
MAX_LABEL = 40


class PanelLayout:
    """One panel on its way: rows are made here, Graphviz is asked for all panels at once, then they are joined."""

    def __init__(self, panel: Panel, cards: Mapping[str, Card], direction: str, limit: float) -> None:
        self.panel, self.cards = panel, cards
        self.is_horizontal = direction == "LR"
        self.output_counts = Counter(link.tail for link in panel.links)
        self.input_counts = Counter(link.head for link in panel.links)
        self.rows = RowDivision(panel, cards, self.is_horizontal, limit).split_rows()

    # -- to Graphviz

    def row_graphs(self) -> list[str]:
        return [self.row_graph(row) for row in self.rows]

    def row_graph(self, row: PanelRow) -> str:
        """Only sizes and our own keys: no name of the author's goes in."""
        lines = [
            "digraph {",
            f"graph [rankdir={'LR' if self.is_horizontal else 'TB'}, nodesep=0.2, ranksep={0.33 if self.is_horizontal else 0.3}, "
            "splines=spline, outputorder=nodesfirst];",
            'node [shape=box, fixedsize=true, label="", margin=0];',
            "edge [arrowhead=none];",
        ]
        for key in row.keys:
            card = self.cards[key]
            extra = 2 * card.stack_height / 72
            shape = "ellipse" if card.box.form == "symbol" and not card.has_label else "box"
            w, h = card.w + 2 * card.label_width, card.h + 2 * card.label_height
            lines.append(f"{key} [shape={shape}, width={w / 72:.4f}, height={h / 72 + extra:.4f}];")
        for dot in row.junctions.values():
            lines.append(
                f"{dot} [shape=circle, width={JUNCTION_SIZE / 72:.4f}, height={JUNCTION_SIZE / 72:.4f}];"
            )
        if row.entry_key:
            lines.append("in [shape=circle, width=0.01, height=0.01];")
        if row.exit_key:
            lines.append("out [shape=circle, width=0.01, height=0.01];")
        for key, dot in row.junctions.items():
            lines.append(f"{key} -> {dot} [weight=100];")
        straight_links = main_links(row)
        for i, link in enumerate(row.direct_links):
            tail = row.junctions.get(link.tail, link.tail)
            lines.append(
                self.graph_edge(tail, link.head, f"p{i}", link.label, 60 if link in straight_links else 1)
            )
        for i, link in enumerate(row.entry_links):
            lines.append(self.graph_edge("in", link.head, f"s{i}", link.label))
        if row.exit_key:
            tail = "in" if row.exit_key == row.entry_key else row.exit_key
            lines.append(self.graph_edge(row.junctions.get(tail, tail), "out", "o", ""))
        return "\n".join([*lines, "}"])

    def graph_edge(self, tail: str, head: str, name: str, label: str, weight: int = 60) -> str:
        room = ""
        if label:
            w, h = text_width(display_text(label, MAX_LABEL), 8) + 8, 12
            room = (
                f', label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="{w:.0f}" HEIGHT="{h}">'
                "<TR><TD></TD></TR></TABLE>>"
            )
        out, into = ("e", "w") if self.is_horizontal else ("s", "n")
        ports = f", tailport={out}" if tail in self.cards and self.output_counts[tail] == 1 else ""
        if head in self.cards and (self.input_counts[head] == 1 or self.cards[head].has_label):
            ports += f", headport={into}"
        return f"{tail} -> {head} [id={name}, weight={weight}{ports}{room}];"

    # -- and back

    def place_panel(self, row_layouts: Sequence[bytes]) -> PlacedPanel:
        placed = PlacedPanel(self.panel, self.cards)
        offset = 0.0
        ends: list[tuple[Point, Point]] = []
        for row, text in zip(self.rows, row_layouts, strict=True):
            part = RowLayout(row, json.loads(text), self.cards, self.is_horizontal)
            dx, dy = (0.0, offset) if self.is_horizontal else (offset, 0.0)
            part.shift_by(dx - part.left, dy - part.top)
            placed.positions.update(part.positions)
            placed.dots += part.dots
            placed.routes += part.routes
            extent = (part.bottom - part.top) if self.is_horizontal else (part.right - part.left)
            ends.append((part.entry_point or (0, 0), part.exit_point or (0, 0)))
            placed.w = max(placed.w, part.right)
            placed.h = max(placed.h, part.bottom)
            offset += extent + ROW_GAP
        self.connect_rows(placed, ends)
        return placed

    def connect_rows(self, placed: PlacedPanel, ends: list[tuple[Point, Point]]) -> None:
        """The turns from the end of a row to the start of the next."""
        edge = 0.0
        rows = list(zip(self.rows, ends, strict=True))
        for (row, (_, leave)), (after, (enter, _)) in pairwise(rows):
            if not after.entry_key:
                continue
            spots = [placed.positions[k] for k in after.keys]
            if self.is_horizontal:
                middle = min(
                    s.bounds[1] - self.cards[k].stack_height for k, s in zip(after.keys, spots, strict=True)
                )
                above = max(placed.positions[k].bounds[3] for k in row.keys)
                tops = [
                    p[1] for r in placed.routes for p in r.points if r.is_skip and above < p[1] <= enter[1]
                ]
                middle = min([middle, *tops])
                y = (above + middle) / 2 if middle > above else above + ROW_GAP / 2
                x0, x1 = leave[0] + 10, enter[0] - 10
                points = [leave, (x0, leave[1]), (x0, y), (x1, y), (x1, enter[1]), enter]
            else:
                left = max(placed.positions[k].bounds[2] for k in row.keys)
                right = min(s.bounds[0] for s in spots)
                x = (left + right) / 2
                y0, y1 = leave[1] + 10, enter[1] - 10
                points = [leave, (leave[0], y0), (x, y0), (x, y1), (enter[0], y1), enter]
            edge = max(edge, max(p[0] for p in points))
            link = Link(row.exit_key, after.entry_links[0].head if after.entry_links else "", "", "")
            placed.routes.append(LinkRoute(rounded_path(points), link, has_arrow=False))
        low = min((p[0] for r in placed.routes for p in r.points), default=0)
        up = min((p[1] for r in placed.routes for p in r.points), default=0)
        if low < 0 or up < 0:
            shift_panel(placed, -min(low, 0), -min(up, 0))
        placed.w = max(placed.w, edge, max((p[0] for r in placed.routes for p in r.points), default=0))
        placed.h = max(placed.h, max((p[1] for r in placed.routes for p in r.points), default=0))

"""Where the boxes of one panel stand: each row placed by Graphviz, the rows one after another as lines of text are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.panel_rows import Division, Row, main_way
from specbuild.diagram.place_row import Placed, Route, RowPlaced, shift
from specbuild.diagram.scene import Point, rounded
from specbuild.diagram.text_metrics import shown, width
from specbuild.diagram.view import Link, Panel

ROW_GAP = 30.0
DOT = 5.0  # a junction
MOST_LABEL = 40


class Arrangement:
    """One panel on its way: rows are made here, Graphviz is asked for all panels at once, then they are joined."""

    def __init__(self, panel: Panel, cards: Mapping[str, Card], direction: str, limit: float) -> None:
        self.panel, self.cards = panel, cards
        self.across = direction == "LR"
        self.given = Counter(link.tail for link in panel.links)
        self.read = Counter(link.head for link in panel.links)
        self.rows = Division(panel, cards, self.across, limit).rows()

    # -- to Graphviz

    def graphs(self) -> list[str]:
        return [self.graph(row) for row in self.rows]

    def graph(self, row: Row) -> str:
        """Only sizes and our own keys: no name of the author's goes in."""
        lines = [
            "digraph {",
            f"graph [rankdir={'LR' if self.across else 'TB'}, nodesep=0.2, ranksep={0.33 if self.across else 0.3}, "
            "splines=spline, outputorder=nodesfirst];",
            'node [shape=box, fixedsize=true, label="", margin=0];',
            "edge [arrowhead=none];",
        ]
        for key in row.keys:
            card = self.cards[key]
            extra = 2 * card.top / 72
            shape = "ellipse" if card.box.form == "symbol" and not card.named else "box"
            w, h = card.w + 2 * card.beside, card.h + 2 * card.beneath
            lines.append(f"{key} [shape={shape}, width={w / 72:.4f}, height={h / 72 + extra:.4f}];")
        for dot in row.junctions.values():
            lines.append(f"{dot} [shape=circle, width={DOT / 72:.4f}, height={DOT / 72:.4f}];")
        if row.enters:
            lines.append("in [shape=circle, width=0.01, height=0.01];")
        if row.leaves:
            lines.append("out [shape=circle, width=0.01, height=0.01];")
        for key, dot in row.junctions.items():
            lines.append(f"{key} -> {dot} [weight=100];")
        spine = main_way(row)
        for i, link in enumerate(row.plain):
            tail = row.junctions.get(link.tail, link.tail)
            lines.append(self.edge(tail, link.head, f"p{i}", link.label, 60 if link in spine else 1))
        for i, link in enumerate(row.starts):
            lines.append(self.edge("in", link.head, f"s{i}", link.label))
        if row.leaves:
            tail = "in" if row.leaves == row.enters else row.leaves
            lines.append(self.edge(row.junctions.get(tail, tail), "out", "o", ""))
        return "\n".join([*lines, "}"])

    def edge(self, tail: str, head: str, name: str, label: str, weight: int = 60) -> str:
        room = ""
        if label:
            w, h = width(shown(label, MOST_LABEL), 8) + 8, 12
            room = (
                f', label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="{w:.0f}" HEIGHT="{h}">'
                "<TR><TD></TD></TR></TABLE>>"
            )
        out, into = ("e", "w") if self.across else ("s", "n")
        ports = f", tailport={out}" if tail in self.cards and self.given[tail] == 1 else ""
        if head in self.cards and (self.read[head] == 1 or self.cards[head].named):
            ports += f", headport={into}"
        return f"{tail} -> {head} [id={name}, weight={weight}{ports}{room}];"

    # -- and back

    def placed(self, drawn: Sequence[bytes]) -> Placed:
        found = Placed(self.panel, self.cards)
        offset = 0.0
        ends: list[tuple[Point, Point]] = []
        for row, text in zip(self.rows, drawn, strict=True):
            part = RowPlaced(row, json.loads(text), self.cards, self.across)
            dx, dy = (0.0, offset) if self.across else (offset, 0.0)
            part.shift(dx - part.left, dy - part.top)
            found.spots.update(part.spots)
            found.dots += part.dots
            found.routes += part.routes
            extent = (part.bottom - part.top) if self.across else (part.right - part.left)
            ends.append((part.enter or (0, 0), part.leave or (0, 0)))
            found.w = max(found.w, part.right)
            found.h = max(found.h, part.bottom)
            offset += extent + ROW_GAP
        self.join(found, ends)
        return found

    def join(self, found: Placed, ends: list[tuple[Point, Point]]) -> None:
        """The turns from the end of a row to the start of the next."""
        edge = 0.0
        rows = list(zip(self.rows, ends, strict=True))
        for (row, (_, leave)), (after, (enter, _)) in pairwise(rows):
            if not after.enters:
                continue
            spots = [found.spots[k] for k in after.keys]
            if self.across:
                middle = min(s.box[1] - self.cards[k].top for k, s in zip(after.keys, spots, strict=True))
                above = max(found.spots[k].box[3] for k in row.keys)
                tops = [p[1] for r in found.routes for p in r.points if r.leap and above < p[1] <= enter[1]]
                middle = min([middle, *tops])
                y = (above + middle) / 2 if middle > above else above + ROW_GAP / 2
                x0, x1 = leave[0] + 10, enter[0] - 10
                points = [leave, (x0, leave[1]), (x0, y), (x1, y), (x1, enter[1]), enter]
            else:
                left = max(found.spots[k].box[2] for k in row.keys)
                right = min(s.box[0] for s in spots)
                x = (left + right) / 2
                y0, y1 = leave[1] + 10, enter[1] - 10
                points = [leave, (leave[0], y0), (x, y0), (x, y1), (enter[0], y1), enter]
            edge = max(edge, max(p[0] for p in points))
            link = Link(row.leaves, after.starts[0].head if after.starts else "", "", "")
            found.routes.append(Route(rounded(points), link, arrow=False))
        low = min((p[0] for r in found.routes for p in r.points), default=0)
        up = min((p[1] for r in found.routes for p in r.points), default=0)
        if low < 0 or up < 0:
            shift(found, -min(low, 0), -min(up, 0))
        found.w = max(found.w, edge, max((p[0] for r in found.routes for p in r.points), default=0))
        found.h = max(found.h, max((p[1] for r in found.routes for p in r.points), default=0))

"""The layout of one row: reads the output of Graphviz, and routes the links that pass other boxes."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from msgspec import Struct, field

from specbuild.diagram.box_shapes import SYMBOL_SIZE, Card
from specbuild.diagram.link_ends import BoxPosition, LinkEnds
from specbuild.diagram.panel_rows import PanelRow
from specbuild.diagram.scene import Point, rounded_path
from specbuild.diagram.text_metrics import measure_text
from specbuild.diagram.view_model import Link, Panel

LANE_GAP = 9.0  # between two skip links
BOX_CLEARANCE = 12.0  # from a box to a skip link
MAX_SKIP_LINKS = 150  # of a row; beyond it, they cross other links on both sides anyway

# of a link: its begin and end along the flow, and where across
FlowPiece: TypeAlias = tuple[float, float, float]


class LinkRoute(Struct):
    """The path of a link. It has no arrow if it ends at a junction."""

    points: tuple[Point, ...]
    link: Link
    has_arrow: bool = True
    label: tuple[float, float, str] | None = None  # x and y of the middle of the baseline, and the text
    is_skip: bool = False


class PlacedPanel(Struct):
    """A panel with the positions of its boxes, junctions and links. The top left corner is (0, 0)."""

    panel: Panel
    cards: Mapping[str, Card]
    positions: dict[str, BoxPosition] = field(default_factory=dict)
    dots: list[Point] = field(default_factory=list)  # junctions
    routes: list[LinkRoute] = field(default_factory=list)
    w: float = 0
    h: float = 0


def shift_panel(panel: PlacedPanel, dx: float, dy: float) -> None:
    shift_contents(panel, dx, dy)
    panel.w += dx
    panel.h += dy


def shift_contents(panel: PlacedPanel | RowLayout, dx: float, dy: float) -> None:
    """Move the boxes, junctions and links of a panel or row."""
    for position in panel.positions.values():
        position.x += dx
        position.y += dy
    panel.dots = [(x + dx, y + dy) for x, y in panel.dots]
    for route in panel.routes:
        route.points = tuple((x + dx, y + dy) for x, y in route.points)
        if route.label:
            x, y, text = route.label
            route.label = (x + dx, y + dy, text)


class RowLayout:
    """One row with the positions that Graphviz chose, and the routes of its skip links; y points down."""

    def __init__(
        self, row: PanelRow, layout: dict[str, Any], cards: Mapping[str, Card], is_horizontal: bool
    ) -> None:
        self.row, self.cards, self.is_horizontal = row, cards, is_horizontal
        self.positions: dict[str, BoxPosition] = {}
        self.dots: list[Point] = []
        self.routes: list[LinkRoute] = []
        self.entry_point: Point | None = None
        self.exit_point: Point | None = None
        self.junctions: dict[str, Point] = {}
        self.read_nodes(layout.get("objects", []))
        self.read_edges(layout.get("edges", []), [item["name"] for item in layout.get("objects", [])])
        self.route_skip_links()
        self.left, self.top, self.right, self.bottom = self.row_bounds()

    def row_bounds(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of everything in the row."""
        xs: list[float] = []
        ys: list[float] = []
        for key, position in self.positions.items():
            card = self.cards[key]
            x0, y0, x1, y1 = position.bounds
            xs += [x0, x1 + card.stack_height, x1 + card.label_width]
            ys += [y0 - card.stack_height, y1 + card.label_height]
        for route in self.routes:
            points = sample_curve(route.points)
            xs += [p[0] for p in points]
            ys += [p[1] for p in points]
        xs += [p[0] for p in self.row_ends()]
        return min(xs), min(ys), max(xs), max(ys)

    def row_ends(self) -> list[Point]:
        """Return the points where links from and to other rows end."""
        return [p for p in (self.entry_point, self.exit_point) if p is not None]

    @property
    def has_entry_junction(self) -> bool:
        """Whether several links start where the value of an earlier row enters."""
        starts_skip_link = any(link.tail == "in" for link in self.row.skip_links)
        return bool(self.row.entry_key) and (len(self.row.entry_links) > 1 or starts_skip_link)

    def read_nodes(self, nodes: Sequence[dict[str, Any]]) -> None:
        for node in nodes:
            name = node["name"]
            if "pos" not in node:
                continue  # a subgraph that keeps boxes in order
            x, y = (float(v) for v in node["pos"].split(","))
            if name == "in":
                self.entry_point = (x, -y)
            elif name == "out":
                self.exit_point = (x, -y)
            elif name.startswith("j"):
                self.junctions[name[1:]] = (x, -y)
                self.dots.append((x, -y))
            else:
                card = self.cards[name]
                self.positions[name] = BoxPosition(x, -y, card.w, card.h)
        if self.has_entry_junction and self.entry_point:
            self.dots.append(self.entry_point)

    def read_edges(self, edges: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        """Add a route for each edge. `names` are those of the nodes, which edges refer to by number."""
        links = {f"p{i}": link for i, link in enumerate(self.row.direct_links)}
        links |= {f"s{i}": link for i, link in enumerate(self.row.entry_links)}
        for edge in edges:
            if edge.get("style") == "invis":
                continue  # it only keeps boxes in order
            name = edge.get("id", "")
            link = links.get(name)
            points = self.edge_points(edge, name, names[edge["tail"]], names[edge["head"]])
            label = None
            if link is not None and link.label and "lp" in edge:
                x, y = (float(v) for v in edge["lp"].split(","))
                label = (x, -y + 3, link.label)
            self.routes.append(LinkRoute(points, link or Link("", ""), link is not None, label))

    def edge_points(self, edge: dict[str, Any], name: str, tail: str, head: str) -> tuple[Point, ...]:
        """Return the path of an edge, moved to the ends of the row, and to the frames of boxes."""
        points = LinkEnds(self.positions, self.cards, self.is_horizontal).fit_frames(
            parse_spline(edge["pos"]), tail, head
        )
        if name == "o" and self.exit_point:
            points = (*points[:-1], self.exit_point)
        if (name.startswith("s") or tail == "in") and self.entry_point:
            points = (self.entry_point, *points[1:])
        return points

    def route_skip_links(self) -> None:
        """Add a route for each skip link, short ones first: away from the flow, along it, and back to the box."""
        lanes: dict[int, list[tuple[float, float, float]]] = {-1: [], 1: []}
        arrivals: Counter[tuple[str, int]] = Counter()
        pieces = [piece for route in self.routes for piece in self.flow_pieces(route)]
        can_look = len(self.row.skip_links) <= MAX_SKIP_LINKS
        for link in sorted(self.row.skip_links, key=self.link_span):
            u0, v0 = self.flow_point(self.start_point(link))
            u1, v1 = self.flow_point(self.box_centre(link.head))
            side = self.choose_side(link, u0, u1, pieces if can_look else ())
            u1 -= 7 * arrivals[link.head, side]
            arrivals[link.head, side] += 1
            low, high = min(u0, u1), max(u0, u1)
            level = self.clear_level(link, side, v0, v1, low, high)
            for v, a, b in lanes[side]:
                if a < high + 4 and b > low - 4 and abs(v - level) < LANE_GAP:
                    level = v + LANE_GAP
            insort(lanes[side], (level, low, high))
            path = [
                self.page_point(u0, v0),
                self.page_point(u0, side * level),
                self.page_point(u1, side * level),
                self.page_point(u1, v1 + side * self.half_extent(link.head, side)),
            ]
            label = None
            if link.label:
                label_u = u1 - 6 - measure_text(link.label, 8) / 2
                label_v = side * level - (3 if side < 0 else -9)
                label = (*self.page_point(label_u, label_v), link.label)
            self.routes.append(LinkRoute(rounded_path(path), link, True, label, is_skip=not link.gives_size))
            pieces += self.flow_pieces(self.routes[-1])

    def hidden_links(self) -> list[Link]:
        """Return the skip links that run under boxes: neither side of the flow is free for them."""
        boxes = [position.bounds for position in self.positions.values()]
        skip_links = set(self.row.skip_links)
        return [
            route.link
            for route in self.routes
            if route.link in skip_links
            and any(is_within_frame(point, box) for point in sample_curve(route.points) for box in boxes)
        ]

    def clear_level(self, link: Link, side: int, v0: float, v1: float, low: float, high: float) -> float:
        """Return how far to one side of the flow a skip link from `low` to `high` passes all boxes."""
        passed = [key for key in self.positions if self.is_between(key, low, high, link)]
        return max(
            side * v0 + BOX_CLEARANCE,
            side * v1 + self.half_extent(link.head, side) + BOX_CLEARANCE,
            *(self.box_reach(key, side) + BOX_CLEARANCE for key in passed),
        )

    def box_centre(self, key: str) -> Point:
        return self.positions[key].x, self.positions[key].y

    def start_point(self, link: Link) -> Point:
        """Return where a skip link starts: at the entry of the row, at a junction, or at the centre of a box."""
        if link.tail == "in":
            assert self.entry_point is not None
            return self.entry_point
        return self.junctions.get(link.tail) or self.box_centre(link.tail)

    def link_span(self, link: Link) -> float:
        """Return the length of a link along the flow."""
        start, end = self.start_point(link), self.box_centre(link.head)
        return abs(self.flow_point(end)[0] - self.flow_point(start)[0])

    # Flow coordinates: u runs along the flow, v across it. For LR v points down, for TB to the right.

    def flow_point(self, p: Point) -> Point:
        return p if self.is_horizontal else (p[1], p[0])

    def page_point(self, u: float, v: float) -> Point:
        return (u, v) if self.is_horizontal else (v, u)

    def flow_bounds(self, key: str) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = self.positions[key].bounds
        y0 -= self.cards[key].stack_height
        x1 += self.cards[key].stack_height
        return (x0, y0, x1, y1) if self.is_horizontal else (y0, x0, y1, x1)

    def box_reach(self, key: str, side: int) -> float:
        """Return how far a box reaches to one side of the flow, positive towards that side."""
        _, v0, _, v1 = self.flow_bounds(key)
        return -v0 if side < 0 else v1

    def half_extent(self, key: str, side: int) -> float:
        """Return the distance from the centre of a box to where a link ends, at one side of the flow."""
        card = self.cards[key]
        if card.box.form == "symbol":
            return SYMBOL_SIZE / 2 + 1
        size = card.h if self.is_horizontal else card.w
        stack_side = -1 if self.is_horizontal else 1
        return size / 2 + (card.stack_height if side == stack_side else 0) + 1

    def is_between(self, key: str, low: float, high: float, link: Link) -> bool:
        """Return whether a link that runs from `low` to `high` passes a box."""
        u0, _, u1, _ = self.flow_bounds(key)
        if key == link.head:
            return False
        return u0 < high - 1 and u1 > low + 1

    def choose_side(self, link: Link, u0: float, u1: float, pieces: Sequence[FlowPiece]) -> int:
        """Return the side of the flow where a skip link passes: -1 or 1, the one with less in the way.

        If both are equal: above the flow for LR, right of it for TB.
        """
        blocked = {side: self.count_blockers(link, u0, u1, side, pieces) for side in (-1, 1)}
        if not self.is_horizontal:
            return 1 if blocked[1] <= blocked[-1] else -1
        return -1 if blocked[-1] <= blocked[1] else 1

    def count_blockers(self, link: Link, u0: float, u1: float, side: int, pieces: Sequence[FlowPiece]) -> int:
        """Return a penalty for what the ends of a skip link would cross on one side: boxes, junctions, pieces of links."""
        count = 0
        _, v0 = self.flow_point(self.start_point(link))
        _, v1 = self.flow_point(self.box_centre(link.head))
        ends = ((u0, v0), (u1, v1))
        for key in self.positions:
            a, b, c, d = self.flow_bounds(key)
            for u, v in ends:
                if key not in (link.head, link.tail) and a - 3 < u < c + 3 and (d < v if side < 0 else b > v):
                    count += 10
        for point in self.dots:
            u, v = self.flow_point(point)
            count += 3 * (abs(u - u0) < 3 and side * (v - v0) > 3)
        for u, v in ends:
            count += 2 * sum(low < u <= high and side * (middle - v) > 4 for low, high, middle in pieces)
        return count

    def flow_pieces(self, route: LinkRoute) -> list[FlowPiece]:
        flow = [self.flow_point(point) for point in sample_curve(route.points)]
        return [(min(ua, ub), max(ua, ub), (va + vb) / 2) for (ua, va), (ub, vb) in pairwise(flow)]

    def shift_by(self, dx: float, dy: float) -> None:
        shift_contents(self, dx, dy)
        self.entry_point = (self.entry_point[0] + dx, self.entry_point[1] + dy) if self.entry_point else None
        self.exit_point = (self.exit_point[0] + dx, self.exit_point[1] + dy) if self.exit_point else None
        self.left, self.right = self.left + dx, self.right + dx
        self.top, self.bottom = self.top + dy, self.bottom + dy


def is_within_frame(point: Point, bounds: tuple[float, float, float, float]) -> bool:
    """Return whether a point is well inside a box, not at its frame."""
    (x, y), (x0, y0, x1, y1) = point, bounds
    return x0 + 3 < x < x1 - 3 and y0 + 3 < y < y1 - 3


def sample_curve(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Return points along cubic segments, `steps` for each segment."""
    samples = [points[0]]
    for i in range(0, len(points) - 3, 3):
        p, q, r, s = points[i : i + 4]
        for k in range(1, steps + 1):
            t = k / steps
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            samples.append(
                (a * p[0] + b * q[0] + c * r[0] + d * s[0], a * p[1] + b * q[1] + c * r[1] + d * s[1])
            )
    return samples


def parse_spline(text: str) -> tuple[Point, ...]:
    """Return a spline in the output of Graphviz.

    The tip of its arrow, if there is one, precedes the points.
    """
    points: list[Point] = []
    tip: Point | None = None
    for item in text.split():
        parts = item.split(",")
        x, y = float(parts[-2]), -float(parts[-1])
        if parts[0] == "e":
            tip = (x, y)
        elif parts[0] != "s":
            points.append((x, y))
    if tip is not None:
        x, y = points[-1]
        points += [
            ((2 * x + tip[0]) / 3, (2 * y + tip[1]) / 3),
            ((x + 2 * tip[0]) / 3, (y + 2 * tip[1]) / 3),
            tip,
        ]
    return tuple(points)

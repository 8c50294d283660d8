"""What Graphviz says of one row, read; and the links that leap over other boxes, drawn by us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from specbuild.diagram.box_shapes import SYMBOL_LABEL, SYMBOL_SIZE, Card
from specbuild.diagram.panel_rows import PanelRow
from specbuild.diagram.scene import Point, move_towards, point_distance, rounded_path, straight_path
from specbuild.diagram.text_metrics import text_width
from specbuild.diagram.view_model import Link, Panel

LANE_GAP = 9.0  # between two shortcuts
BOX_CLEARANCE = 12.0  # from a box to a shortcut


@dataclass
class BoxPosition:
    """A placed shape: its centre and size."""

    x: float
    y: float
    w: float
    h: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2


@dataclass
class LinkRoute:
    """A placed link; no arrow where it goes on from a junction."""

    points: tuple[Point, ...]
    link: Link
    has_arrow: bool = True
    label: tuple[float, float, str] | None = None  # the middle of its baseline
    is_skip: bool = False


@dataclass
class PlacedPanel:
    """A panel with everything in its place; the top left corner is 0, 0."""

    panel: Panel
    cards: Mapping[str, Card]
    positions: dict[str, BoxPosition] = field(default_factory=dict)
    dots: list[Point] = field(default_factory=list)
    routes: list[LinkRoute] = field(default_factory=list)
    w: float = 0
    h: float = 0


def shift_panel(panel: PlacedPanel, dx: float, dy: float) -> None:
    for spot in panel.positions.values():
        spot.x += dx
        spot.y += dy
    panel.dots = [(x + dx, y + dy) for x, y in panel.dots]
    for route in panel.routes:
        route.points = tuple((x + dx, y + dy) for x, y in route.points)
        if route.label:
            route.label = (route.label[0] + dx, route.label[1] + dy, route.label[2])
    panel.w += dx
    panel.h += dy


class RowLayout:
    """One row as Graphviz placed it, with its leaps drawn; y goes down."""

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
        self.read_layout(layout)
        self.route_skip_links()
        xs: list[float] = []
        ys: list[float] = []
        for key, spot in self.positions.items():
            x0, y0, x1, y1 = spot.bounds
            xs += [x0, x1 + cards[key].stack_height, x1 + cards[key].label_width]
            ys += [y0 - cards[key].stack_height, y1 + cards[key].label_height]
        for route in self.routes:
            xs += [p[0] for p in route.points]
            ys += [p[1] for p in route.points]
        xs += [p[0] for p in self.row_ends()]
        self.left, self.right, self.top, self.bottom = min(xs), max(xs), min(ys), max(ys)

    def row_ends(self) -> list[Point]:
        """Where the row begins and ends for values from other rows."""
        return [p for p in (self.entry_point, self.exit_point) if p is not None]

    def read_layout(self, layout: dict[str, Any]) -> None:
        for item in layout.get("objects", []):
            name = item["name"]
            x, y = (float(v) for v in item["pos"].split(","))
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
        if (
            self.row.entry_key
            and self.entry_point
            and (len(self.row.entry_links) > 1 or any(li.tail == "in" for li in self.row.skip_links))
        ):
            self.dots.append(self.entry_point)
        by_name = {f"p{i}": link for i, link in enumerate(self.row.direct_links)}
        by_name |= {f"s{i}": link for i, link in enumerate(self.row.entry_links)}
        names = [item["name"] for item in layout.get("objects", [])]
        for item in layout.get("edges", []):
            points = parse_spline(item["pos"])
            name = item.get("id", "")
            link = by_name.get(name)
            tail = names[item["tail"]]
            if not self.is_horizontal and tail in self.positions and self.cards[tail].stack_height:
                points = (
                    (points[0][0], self.positions[tail].bounds[3]),
                    *points[1:],
                )  # not from the room for ghosts
            points = self.extend_to_symbols(points, tail, names[item["head"]])
            if name == "o" and self.exit_point:
                points = (*points[:-1], self.exit_point)
            if (name.startswith("s") or tail == "in") and self.entry_point:
                points = (self.entry_point, *points[1:])
            label = None
            if link is not None and link.label and "lp" in item:
                x, y = (float(v) for v in item["lp"].split(","))
                label = (x, -y + 3, link.label)
            self.routes.append(LinkRoute(points, link or Link("", ""), link is not None, label))

    def extend_to_symbols(self, points: tuple[Point, ...], tail: str, head: str) -> tuple[Point, ...]:
        """A link led on to the circles of symbols, beyond the room for their names."""
        for key, end in ((tail, 0), (head, -1)):
            if key in self.positions and self.cards[key].has_label:
                centre = (self.positions[key].x, self.positions[key].y)
                edge = move_towards(centre, points[end], SYMBOL_SIZE / 2 + 0.7)
                if point_distance(centre, points[end]) > SYMBOL_SIZE / 2 + 1.5:
                    more = straight_path([points[end], edge] if end else [edge, points[end]])
                    points = (*points, *more[1:]) if end else (*more, *points[1:])
        return points

    def route_skip_links(self) -> None:
        """Shortcuts: out of the flow at a junction, along a lane, down onto the box that reads them."""
        lanes: dict[int, list[tuple[float, float, float]]] = {-1: [], 1: []}
        into: dict[tuple[str, int], int] = {}
        for link in sorted(self.row.skip_links, key=self.link_span):
            u0, v0 = self.flow_point(self.start_point(link))
            spot = self.positions[link.head]
            u1, v1 = self.flow_point((spot.x, spot.y))
            side = self.choose_side(link, u0, u1)
            n = into.get((link.head, side), 0)
            into[link.head, side] = n + 1
            u1 -= 7 * n
            low, high = min(u0, u1), max(u0, u1)
            level = max(
                [
                    side * v0 + BOX_CLEARANCE,
                    side * v1 + self.half_extent(link.head, side) + BOX_CLEARANCE,
                    *(
                        self.box_reach(k, side) + BOX_CLEARANCE
                        for k in self.positions
                        if self.is_between(k, low, high, link)
                    ),
                ]
            )
            for a, b, v in sorted(lanes[side], key=lambda t: t[2]):
                if a < high + 4 and b > low - 4 and abs(v - level) < LANE_GAP:
                    level = v + LANE_GAP
            lanes[side].append((low, high, level))
            head = self.half_extent(link.head, side)
            v_end = v1 + side * head
            path = [
                self.page_point(u0, v0),
                self.page_point(u0, side * level),
                self.page_point(u1, side * level),
                self.page_point(u1, v_end),
            ]
            label = None
            if link.label:
                x, y = self.page_point(
                    u1 - 6 - text_width(link.label, 8) / 2, side * level - (3 if side < 0 else -9)
                )
                label = (x, y, link.label)
            self.routes.append(LinkRoute(rounded_path(path), link, True, label, is_skip=True))

    def start_point(self, link: Link) -> Point:
        if link.tail == "in":
            assert self.entry_point is not None
            return self.entry_point
        if link.tail in self.junctions:
            return self.junctions[link.tail]
        spot = self.positions[link.tail]
        return spot.x, spot.y

    def link_span(self, link: Link) -> float:
        return abs(
            self.flow_point((self.positions[link.head].x, self.positions[link.head].y))[0]
            - self.flow_point(self.start_point(link))[0]
        )

    # u runs along the flow, v across it: for LR v goes down, for TB to the right

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
        """How far a box reaches to one side of the flow, counted towards it."""
        _, v0, _, v1 = self.flow_bounds(key)
        return -v0 if side < 0 else v1

    def half_extent(self, key: str, side: int) -> float:
        card = self.cards[key]
        if card.box.form == "symbol":
            below = SYMBOL_LABEL if card.has_label and side > 0 and self.is_horizontal else 0
            return SYMBOL_SIZE / 2 + 1 + below
        size = card.h if self.is_horizontal else card.w
        return (
            size / 2
            + (
                card.stack_height
                if side < 0 and self.is_horizontal
                else card.stack_height
                if side > 0 and not self.is_horizontal
                else 0
            )
            + 1
        )

    def is_between(self, key: str, low: float, high: float, link: Link) -> bool:
        u0, _, u1, _ = self.flow_bounds(key)
        if key == link.head:
            return False
        return u0 < high - 1 and u1 > low + 1

    def choose_side(self, link: Link, u0: float, u1: float) -> int:
        """Above (right, for TB) unless there is less in the way on the other side."""
        blocked = {side: self.count_blockers(link, u0, u1, side) for side in (-1, 1)}
        if not self.is_horizontal:
            return 1 if blocked[1] <= blocked[-1] else -1
        return -1 if blocked[-1] <= blocked[1] else 1

    def count_blockers(self, link: Link, u0: float, u1: float, side: int) -> int:
        count = 0
        _, v0 = self.flow_point(self.start_point(link))
        spot = self.positions[link.head]
        _, v1 = self.flow_point((spot.x, spot.y))
        for key in self.positions:
            a, b, c, d = self.flow_bounds(key)
            for u, v in ((u0, v0), (u1, v1)):
                if key not in (link.head, link.tail) and a - 3 < u < c + 3 and (d < v if side < 0 else b > v):
                    count += 10
        for p in self.dots:
            u, v = self.flow_point(p)
            count += 3 * (abs(u - u0) < 3 and side * (v - v0) > 3)
        for route in self.routes:
            flow = [self.flow_point(p) for p in sample_curve(route.points)]
            for (ua, va), (ub, vb) in pairwise(flow):
                for u, v in ((u0, v0), (u1, v1)):
                    if min(ua, ub) < u <= max(ua, ub) and side * ((va + vb) / 2 - v) > 4:
                        count += 2
        return count

    def shift_by(self, dx: float, dy: float) -> None:
        for spot in self.positions.values():
            spot.x += dx
            spot.y += dy
        self.dots = [(x + dx, y + dy) for x, y in self.dots]
        for route in self.routes:
            route.points = tuple((x + dx, y + dy) for x, y in route.points)
            if route.label:
                route.label = (route.label[0] + dx, route.label[1] + dy, route.label[2])
        self.entry_point = (self.entry_point[0] + dx, self.entry_point[1] + dy) if self.entry_point else None
        self.exit_point = (self.exit_point[0] + dx, self.exit_point[1] + dy) if self.exit_point else None
        self.left, self.right = self.left + dx, self.right + dx
        self.top, self.bottom = self.top + dy, self.bottom + dy


def sample_curve(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Points along cubic segments."""
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
    """A spline as Graphviz tells it: an arrow's tip may stand before the points."""
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

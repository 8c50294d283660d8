"""What Graphviz says of one row, read; and the links that leap over other boxes, drawn by us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from specbuild.diagram.box_shapes import NAME, SYMBOL, Card
from specbuild.diagram.panel_rows import Row
from specbuild.diagram.scene import Point, distance, rounded, straight, towards
from specbuild.diagram.text_metrics import width
from specbuild.diagram.view import Link, Panel

LANE = 9.0  # between two shortcuts
CLEAR = 12.0  # from a box to a shortcut


@dataclass
class Spot:
    """A placed shape: its centre and size."""

    x: float
    y: float
    w: float
    h: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2


@dataclass
class Route:
    """A placed link; no arrow where it goes on from a junction."""

    points: tuple[Point, ...]
    link: Link
    arrow: bool = True
    label: tuple[float, float, str] | None = None  # the middle of its baseline
    leap: bool = False


@dataclass
class Placed:
    """A panel with everything in its place; the top left corner is 0, 0."""

    panel: Panel
    cards: Mapping[str, Card]
    spots: dict[str, Spot] = field(default_factory=dict)
    dots: list[Point] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    w: float = 0
    h: float = 0


def shift(found: Placed, dx: float, dy: float) -> None:
    for spot in found.spots.values():
        spot.x += dx
        spot.y += dy
    found.dots = [(x + dx, y + dy) for x, y in found.dots]
    for route in found.routes:
        route.points = tuple((x + dx, y + dy) for x, y in route.points)
        if route.label:
            route.label = (route.label[0] + dx, route.label[1] + dy, route.label[2])
    found.w += dx
    found.h += dy


class RowPlaced:
    """One row as Graphviz placed it, with its leaps drawn; y goes down."""

    def __init__(self, row: Row, drawn: dict[str, Any], cards: Mapping[str, Card], across: bool) -> None:
        self.row, self.cards, self.across = row, cards, across
        self.spots: dict[str, Spot] = {}
        self.dots: list[Point] = []
        self.routes: list[Route] = []
        self.enter: Point | None = None
        self.leave: Point | None = None
        self.junctions: dict[str, Point] = {}
        self.read(drawn)
        self.leap()
        xs: list[float] = []
        ys: list[float] = []
        for key, spot in self.spots.items():
            x0, y0, x1, y1 = spot.box
            xs += [x0, x1 + cards[key].top, x1 + cards[key].beside]
            ys += [y0 - cards[key].top, y1 + cards[key].beneath]
        for route in self.routes:
            xs += [p[0] for p in route.points]
            ys += [p[1] for p in route.points]
        xs += [p[0] for p in self.ends()]
        self.left, self.right, self.top, self.bottom = min(xs), max(xs), min(ys), max(ys)

    def ends(self) -> list[Point]:
        """Where the row begins and ends for values from other rows."""
        return [p for p in (self.enter, self.leave) if p is not None]

    def read(self, drawn: dict[str, Any]) -> None:
        for item in drawn.get("objects", []):
            name = item["name"]
            x, y = (float(v) for v in item["pos"].split(","))
            if name == "in":
                self.enter = (x, -y)
            elif name == "out":
                self.leave = (x, -y)
            elif name.startswith("j"):
                self.junctions[name[1:]] = (x, -y)
                self.dots.append((x, -y))
            else:
                card = self.cards[name]
                self.spots[name] = Spot(x, -y, card.w, card.h)
        if (
            self.row.enters
            and self.enter
            and (len(self.row.starts) > 1 or any(li.tail == "in" for li in self.row.leaps))
        ):
            self.dots.append(self.enter)
        by_name = {f"p{i}": link for i, link in enumerate(self.row.plain)}
        by_name |= {f"s{i}": link for i, link in enumerate(self.row.starts)}
        names = [item["name"] for item in drawn.get("objects", [])]
        for item in drawn.get("edges", []):
            points = bezier(item["pos"])
            name = item.get("id", "")
            link = by_name.get(name)
            tail = names[item["tail"]]
            if not self.across and tail in self.spots and self.cards[tail].top:
                points = (
                    (points[0][0], self.spots[tail].box[3]),
                    *points[1:],
                )  # not from the room for ghosts
            points = self.onto(points, tail, names[item["head"]])
            if name == "o" and self.leave:
                points = (*points[:-1], self.leave)
            if (name.startswith("s") or tail == "in") and self.enter:
                points = (self.enter, *points[1:])
            label = None
            if link is not None and link.label and "lp" in item:
                x, y = (float(v) for v in item["lp"].split(","))
                label = (x, -y + 3, link.label)
            self.routes.append(Route(points, link or Link("", ""), link is not None, label))

    def onto(self, points: tuple[Point, ...], tail: str, head: str) -> tuple[Point, ...]:
        """A link led on to the circles of symbols, beyond the room for their names."""
        for key, end in ((tail, 0), (head, -1)):
            if key in self.spots and self.cards[key].named:
                centre = (self.spots[key].x, self.spots[key].y)
                edge = towards(centre, points[end], SYMBOL / 2 + 0.7)
                if distance(centre, points[end]) > SYMBOL / 2 + 1.5:
                    more = straight([points[end], edge] if end else [edge, points[end]])
                    points = (*points, *more[1:]) if end else (*more, *points[1:])
        return points

    def leap(self) -> None:
        """Shortcuts: out of the flow at a junction, along a lane, down onto the box that reads them."""
        lanes: dict[int, list[tuple[float, float, float]]] = {-1: [], 1: []}
        into: dict[tuple[str, int], int] = {}
        for link in sorted(self.row.leaps, key=self.span):
            u0, v0 = self.uv(self.start(link))
            spot = self.spots[link.head]
            u1, v1 = self.uv((spot.x, spot.y))
            side = self.side(link, u0, u1)
            n = into.get((link.head, side), 0)
            into[link.head, side] = n + 1
            u1 -= 7 * n
            low, high = min(u0, u1), max(u0, u1)
            level = max(
                [
                    side * v0 + CLEAR,
                    side * v1 + self.half(link.head, side) + CLEAR,
                    *(self.reach(k, side) + CLEAR for k in self.spots if self.between(k, low, high, link)),
                ]
            )
            for a, b, v in sorted(lanes[side], key=lambda t: t[2]):
                if a < high + 4 and b > low - 4 and abs(v - level) < LANE:
                    level = v + LANE
            lanes[side].append((low, high, level))
            head = self.half(link.head, side)
            v_end = v1 + side * head
            path = [self.xy(u0, v0), self.xy(u0, side * level), self.xy(u1, side * level), self.xy(u1, v_end)]
            label = None
            if link.label:
                x, y = self.xy(u1 - 6 - width(link.label, 8) / 2, side * level - (3 if side < 0 else -9))
                label = (x, y, link.label)
            self.routes.append(Route(rounded(path), link, True, label, leap=True))

    def start(self, link: Link) -> Point:
        if link.tail == "in":
            assert self.enter is not None
            return self.enter
        if link.tail in self.junctions:
            return self.junctions[link.tail]
        spot = self.spots[link.tail]
        return spot.x, spot.y

    def span(self, link: Link) -> float:
        return abs(
            self.uv((self.spots[link.head].x, self.spots[link.head].y))[0] - self.uv(self.start(link))[0]
        )

    # u runs along the flow, v across it: for LR v goes down, for TB to the right

    def uv(self, p: Point) -> Point:
        return p if self.across else (p[1], p[0])

    def xy(self, u: float, v: float) -> Point:
        return (u, v) if self.across else (v, u)

    def frame(self, key: str) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = self.spots[key].box
        y0 -= self.cards[key].top
        x1 += self.cards[key].top
        return (x0, y0, x1, y1) if self.across else (y0, x0, y1, x1)

    def reach(self, key: str, side: int) -> float:
        """How far a box reaches to one side of the flow, counted towards it."""
        _, v0, _, v1 = self.frame(key)
        return -v0 if side < 0 else v1

    def half(self, key: str, side: int) -> float:
        card = self.cards[key]
        if card.box.form == "symbol":
            below = NAME if card.named and side > 0 and self.across else 0
            return SYMBOL / 2 + 1 + below
        size = card.h if self.across else card.w
        return (
            size / 2
            + (card.top if side < 0 and self.across else card.top if side > 0 and not self.across else 0)
            + 1
        )

    def between(self, key: str, low: float, high: float, link: Link) -> bool:
        u0, _, u1, _ = self.frame(key)
        if key == link.head:
            return False
        return u0 < high - 1 and u1 > low + 1

    def side(self, link: Link, u0: float, u1: float) -> int:
        """Above (right, for TB) unless there is less in the way on the other side."""
        blocked = {side: self.blockers(link, u0, u1, side) for side in (-1, 1)}
        if not self.across:
            return 1 if blocked[1] <= blocked[-1] else -1
        return -1 if blocked[-1] <= blocked[1] else 1

    def blockers(self, link: Link, u0: float, u1: float, side: int) -> int:
        count = 0
        _, v0 = self.uv(self.start(link))
        spot = self.spots[link.head]
        _, v1 = self.uv((spot.x, spot.y))
        for key in self.spots:
            a, b, c, d = self.frame(key)
            for u, v in ((u0, v0), (u1, v1)):
                if key not in (link.head, link.tail) and a - 3 < u < c + 3 and (d < v if side < 0 else b > v):
                    count += 10
        for p in self.dots:
            u, v = self.uv(p)
            count += 3 * (abs(u - u0) < 3 and side * (v - v0) > 3)
        for route in self.routes:
            flow = [self.uv(p) for p in sampled(route.points)]
            for (ua, va), (ub, vb) in pairwise(flow):
                for u, v in ((u0, v0), (u1, v1)):
                    if min(ua, ub) < u <= max(ua, ub) and side * ((va + vb) / 2 - v) > 4:
                        count += 2
        return count

    def shift(self, dx: float, dy: float) -> None:
        for spot in self.spots.values():
            spot.x += dx
            spot.y += dy
        self.dots = [(x + dx, y + dy) for x, y in self.dots]
        for route in self.routes:
            route.points = tuple((x + dx, y + dy) for x, y in route.points)
            if route.label:
                route.label = (route.label[0] + dx, route.label[1] + dy, route.label[2])
        self.enter = (self.enter[0] + dx, self.enter[1] + dy) if self.enter else None
        self.leave = (self.leave[0] + dx, self.leave[1] + dy) if self.leave else None
        self.left, self.right = self.left + dx, self.right + dx
        self.top, self.bottom = self.top + dy, self.bottom + dy


def sampled(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Points along cubic segments."""
    found = [points[0]]
    for i in range(0, len(points) - 3, 3):
        p, q, r, s = points[i : i + 4]
        for k in range(1, steps + 1):
            t = k / steps
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            found.append(
                (a * p[0] + b * q[0] + c * r[0] + d * s[0], a * p[1] + b * q[1] + c * r[1] + d * s[1])
            )
    return found


def bezier(text: str) -> tuple[Point, ...]:
    """A spline as Graphviz tells it: an arrow's tip may stand before the points."""
    found: list[Point] = []
    tip: Point | None = None
    for item in text.split():
        parts = item.split(",")
        x, y = float(parts[-2]), -float(parts[-1])
        if parts[0] == "e":
            tip = (x, y)
        elif parts[0] != "s":
            found.append((x, y))
    if tip is not None:
        x, y = found[-1]
        found += [
            ((2 * x + tip[0]) / 3, (2 * y + tip[1]) / 3),
            ((x + 2 * tip[0]) / 3, (y + 2 * tip[1]) / 3),
            tip,
        ]
    return tuple(found)

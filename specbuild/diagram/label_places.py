"""Moves labels and the names of symbols to where no line and no box is under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise, product

from msgspec import Struct

from specbuild.diagram.box_shapes import SYMBOL_SIZE
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel, sample_curve
from specbuild.diagram.scene import Point
from specbuild.diagram.text_metrics import display_text, measure_text

LABEL_SIZE = 8.0
MAX_NAME = 16  # characters of the name of a symbol
MAX_LABEL = 40
ASCENT, DESCENT = 6.0, 1.5  # of a label, from its baseline
CLEARANCE = 1.0
SQUARE = 40.0  # of the grid of obstacles
MAX_SQUARES = 2_000
LABEL_PARTS = (0.5, 0.35, 0.65, 0.2, 0.8, 0.1, 0.9, 0.95, 0.05)  # where along its line a label can be
LABEL_STEPS = (0.0, 5.0, 11.0)  # how much farther from its line, if there is no room beside it

Bounds = tuple[float, float, float, float]  # left, top, right, bottom


class Obstacle(Struct, frozen=True, eq=False):
    """A part of a line, or the frame of a box."""

    bounds: Bounds
    segment: tuple[Point, Point] | None = None


class ObstacleMap:
    """Obstacles by the squares of a grid that they touch, so that a place meets only those near to it.

    One that would touch very many squares meets every place.
    """

    def __init__(self, obstacles: Iterable[Obstacle]) -> None:
        self.by_square: dict[tuple[int, int], dict[Obstacle, None]] = {}
        self.large: dict[Obstacle, None] = {}
        for obstacle in obstacles:
            self.add(obstacle)

    def add(self, obstacle: Obstacle) -> None:
        squares = list(islice(touched_squares(obstacle.bounds), MAX_SQUARES))
        if len(squares) == MAX_SQUARES:
            self.large[obstacle] = None
            return
        for square in squares:
            self.by_square.setdefault(square, {})[obstacle] = None

    def count_under(self, bounds: Bounds) -> int:
        """Return how many obstacles overlap with a rectangle."""
        near = dict(self.large)
        for square in touched_squares(bounds):
            near |= self.by_square.get(square, {})
        return sum(has_overlap(bounds, obstacle) for obstacle in near)


def touched_squares(bounds: Bounds) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = (int(edge // SQUARE) for edge in bounds)
    return product(range(left, right + 1), range(top, bottom + 1))


def settle_labels(placed: PlacedPanel) -> None:
    """Move the labels of links and the names of symbols in a panel."""
    obstacles = ObstacleMap([*box_obstacles(placed), *line_obstacles(placed)])
    for key, card in placed.cards.items():
        if key in placed.positions and card.has_label:
            position = placed.positions[key]
            name = display_text(card.box.name, MAX_NAME)
            places = [(position.x + dx, position.y + dy) for dx, dy in name_offsets(name, card.is_horizontal)]
            x, y = choose_place(name, places, obstacles)
            card.name_offset = (x - position.x, y - position.y)
            obstacles.add(Obstacle(label_bounds(name, x, y)))
    for route in placed.routes:
        if route.label:
            text = display_text(route.label[2], MAX_LABEL)
            x, y = choose_place(text, list(label_choices(route, text)), obstacles)
            route.label = (x, y, route.label[2])
            obstacles.add(Obstacle(label_bounds(text, x, y)))
            placed.w = max(placed.w, label_bounds(text, x, y)[2])
            placed.h = max(placed.h, label_bounds(text, x, y)[3])


def box_obstacles(placed: PlacedPanel) -> Iterator[Obstacle]:
    for key, position in placed.positions.items():
        x0, y0, x1, y1 = position.bounds
        stack = placed.cards[key].stack_height
        yield Obstacle((x0, y0 - stack, x1 + stack, y1))


def line_obstacles(placed: PlacedPanel) -> Iterator[Obstacle]:
    for route in placed.routes:
        for a, b in pairwise(sample_curve(route.points)):
            bounds = (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
            yield Obstacle(bounds, (a, b))


def name_offsets(name: str, is_horizontal: bool) -> list[Point]:
    """Return where the name of a symbol can be, from its centre, best first: the middle of its baseline."""
    below, above = SYMBOL_SIZE / 2 + 9, -SYMBOL_SIZE / 2 - 3
    half = measure_text(name, LABEL_SIZE) / 2
    aside = half + 7
    corners = [(aside, below), (aside, above), (-aside, below), (-aside, above)]
    right = (SYMBOL_SIZE / 2 + 3 + half, 3.0)
    if is_horizontal:
        return [(0.0, below), (0.0, above), *corners]
    return [right, (-right[0], 3.0), *corners]


def label_choices(route: LinkRoute, text: str) -> Iterator[Point]:
    """Yield where a label can be: where the layout put it, then beside each part of its line."""
    assert route.label is not None
    yield route.label[0], route.label[1]
    points = sample_curve(route.points)
    half = measure_text(text, LABEL_SIZE) / 2
    for step, part in product(LABEL_STEPS, LABEL_PARTS):
        x, y = points[min(int(part * len(points)), len(points) - 1)]
        yield from ((x, y - 4 - step), (x, y + 10 + step))
        yield from ((x + half + 4 + step, y + 3), (x - half - 4 - step, y + 3))


def label_bounds(text: str, x: float, y: float) -> Bounds:
    half = measure_text(text, LABEL_SIZE) / 2
    return x - half - CLEARANCE, y - ASCENT - CLEARANCE, x + half + CLEARANCE, y + DESCENT + CLEARANCE


def choose_place(text: str, places: list[Point], obstacles: ObstacleMap) -> Point:
    """Return the first place without an obstacle, else the one with the fewest."""
    best, fewest = places[0], None
    for x, y in places:
        bounds = label_bounds(text, x, y)
        count = obstacles.count_under(bounds) + 3 * (bounds[0] < 0 or bounds[1] < 0)
        if not count:
            return x, y
        if fewest is None or count < fewest:
            best, fewest = (x, y), count
    return best


def has_overlap(bounds: Bounds, obstacle: Obstacle) -> bool:
    """Return whether a rectangle and an obstacle overlap."""
    x0, y0, x1, y1 = bounds
    a0, b0, a1, b1 = obstacle.bounds
    if x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0:
        return False
    return obstacle.segment is None or has_crossing(bounds, *obstacle.segment)


def has_crossing(bounds: Bounds, a: Point, b: Point) -> bool:
    """Return whether a straight line crosses a rectangle (Liang and Barsky 1984)."""
    low, high = 0.0, 1.0
    for start, end, least, most in ((a[0], b[0], bounds[0], bounds[2]), (a[1], b[1], bounds[1], bounds[3])):
        step = end - start
        if abs(step) < 1e-9:
            if not least < start < most:
                return False
            continue
        near, far = sorted(((least - start) / step, (most - start) / step))
        low, high = max(low, near), min(high, far)
    return low < high

"""The ends of links: what Graphviz ends at a box as it knows it is ended at the frame or circle that is drawn."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from specbuild.diagram.box_shapes import SYMBOL_SIZE, Card
from specbuild.diagram.scene import Point, move_towards, point_distance, straight_path

TOUCH = 2.0  # how far from a frame an end may be


class BoxPosition(Struct):
    """The centre and the size of a box."""

    x: float
    y: float
    w: float
    h: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2


class LinkEnds:
    """Moves the ends of links to the frames of the boxes of one row."""

    def __init__(
        self, positions: Mapping[str, BoxPosition], cards: Mapping[str, Card], is_horizontal: bool
    ) -> None:
        self.positions, self.cards, self.is_horizontal = positions, cards, is_horizontal

    def fit_frames(self, points: tuple[Point, ...], tail: str, head: str) -> tuple[Point, ...]:
        """Return the path of a link with both ends at frames."""
        if not self.is_horizontal and tail in self.positions and self.cards[tail].stack_height:
            # Graphviz knows a larger box: it has room for the cards behind the box.
            points = ((points[0][0], self.positions[tail].bounds[3]), *points[1:])
        points = self.extend_to_symbols(points, tail, head)
        if self.is_horizontal:
            points = self.extend_to_stacks(points, tail, head)
        elif head in self.positions:
            points = self.end_before_stack(points, head)
        return self.reach_stack(points, head)

    def reach_stack(self, points: tuple[Point, ...], head: str) -> tuple[Point, ...]:
        """Return the path of a link, extended to the nearest card of a stack: Graphviz takes a larger box for it."""
        card = self.cards.get(head)
        if card is None or not card.stack_height:
            return points
        x, y = points[-1]
        x0, y0, x1, y1 = self.positions[head].bounds
        offsets = (0.0, card.stack_height / 2, card.stack_height)
        nearest = [(min(max(x, x0 + d), x1 + d), min(max(y, y0 - d), y1 - d)) for d in offsets]
        tip = min(nearest, key=lambda point: point_distance(point, (x, y)))
        if point_distance(tip, (x, y)) <= TOUCH:
            return points
        return (*points, *straight_path([(x, y), tip])[1:])

    def end_before_stack(self, points: tuple[Point, ...], head: str) -> tuple[Point, ...]:
        """Return the path of a link that arrives from the right, ended at the cards behind a box: they would hide it."""
        stack, right = self.cards[head].stack_height, self.positions[head].bounds[2]
        (x, y), (start_x, start_y) = points[-1], points[-4]
        if not stack or abs(x - right) > 2.5 or start_x < x:
            return points
        tip = (right + stack + 0.7, y)
        return (*points[:-4], *straight_path([(max(start_x, tip[0] + 3), start_y), tip]))

    def extend_to_symbols(self, points: tuple[Point, ...], tail: str, head: str) -> tuple[Point, ...]:
        """Return the path of a link, extended through the room for the name of a symbol to its circle."""
        for key, end in ((tail, 0), (head, -1)):
            if key in self.positions and self.cards[key].has_label:
                centre = (self.positions[key].x, self.positions[key].y)
                edge = move_towards(centre, points[end], SYMBOL_SIZE / 2 + 0.7)
                if point_distance(centre, points[end]) > SYMBOL_SIZE / 2 + 1.5:
                    more = straight_path([points[end], edge] if end else [edge, points[end]])
                    points = (*points, *more[1:]) if end else (*more, *points[1:])
        return points

    def extend_to_stacks(self, points: tuple[Point, ...], tail: str, head: str) -> tuple[Point, ...]:
        """Return the path of a link, extended through the room that Graphviz leaves below a stack, to its frame."""
        for key, end in ((tail, 0), (head, -1)):
            if key not in self.positions or not self.cards[key].stack_height:
                continue
            x0, _, x1, bottom = self.positions[key].bounds
            (x, y), (other_x, other_y) = points[end], points[-2 if end else 1]
            if y <= bottom + 0.5 or not x0 <= x <= x1:
                continue
            slope = (x - other_x) / (y - other_y) if y < other_y else 0.0
            edge = (min(max(x + slope * (bottom - y), x0 + 4), x1 - 4), bottom)
            more = straight_path([points[end], edge] if end else [edge, points[end]])
            points = (*points, *more[1:]) if end else (*more, *points[1:])
        return points

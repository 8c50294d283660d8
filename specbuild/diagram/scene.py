"""A diagram as shapes with positions, before a file format is chosen. Units are points; y points down."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagram.text_metrics import measure_text

Point = tuple[float, float]


class Rect(Struct, frozen=True):
    x: float
    y: float
    w: float
    h: float
    fill: str = ""
    stroke: str = ""
    radius: float = 0
    stroke_width: float = 1.2
    is_dashed: bool = False


class TextLine(Struct, frozen=True):
    """One line of text; `y` is its baseline."""

    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False
    fill: str = "ink"
    is_centered: bool = False

    @property
    def width(self) -> float:
        return measure_text(self.text, self.size, self.bold)


class Curve(Struct, frozen=True):
    """Cubic Bézier segments: a start point, then three points for each segment."""

    points: tuple[Point, ...]
    stroke: str = "edge"
    stroke_width: float = 1.25
    has_arrow: bool = True
    is_dashed: bool = False


Shape = Rect | TextLine | Curve


class ShapeGroup(Struct, frozen=True):
    """Shapes that belong together, with a tooltip and the URL of a link."""

    shapes: tuple[Shape, ...]
    role: str = ""  # what they draw: box, link, leap (a link that passes other boxes), label, legend, ...
    tooltip: str = ""
    url: str = ""
    steps: tuple[str, ...] = ()
    panel: str = ""
    key: str = ""  # of a box
    ends: tuple[str, str] | None = None  # of a link: the keys of its boxes
    opens: str = ""  # the panel that shows the inside of a box


class Scene(Struct):
    """All shapes of a diagram. Groups are drawn in order."""

    title: str
    width: float = 0
    height: float = 0
    groups: list[ShapeGroup] = field(default_factory=list)
    description: str = ""
    unit: str = ""  # of the width and the height in an SVG; empty: pixels


def shift_shape(shape: Shape, dx: float, dy: float) -> Shape:
    if isinstance(shape, Curve):
        return replace(shape, points=tuple((x + dx, y + dy) for x, y in shape.points))
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def straight_path(points: list[Point]) -> tuple[Point, ...]:
    """Return a straight line through points, as cubic segments."""
    path = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        path += [((2 * x0 + x1) / 3, (2 * y0 + y1) / 3), ((x0 + 2 * x1) / 3, (y0 + 2 * y1) / 3), (x1, y1)]
    return tuple(path)


def rounded_path(points: list[Point], radius: float = 8) -> tuple[Point, ...]:
    """Return a line through points with round corners, as cubic segments."""
    path: list[Point] = [points[0]]

    def add_line(to: Point) -> None:
        x0, y0 = path[-1]
        if abs(x0 - to[0]) + abs(y0 - to[1]) > 0.01:
            path.extend(straight_path([path[-1], to])[1:])

    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, point_distance(before, corner) / 2, point_distance(corner, after) / 2)
        enter, leave = move_towards(corner, before, r), move_towards(corner, after, r)
        add_line(enter)
        path += [move_towards(corner, before, r * 0.45), move_towards(corner, after, r * 0.45), leave]
    add_line(points[-1])
    return tuple(path)


def point_distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def move_towards(a: Point, b: Point, by: float) -> Point:
    """Return the point at a distance from `a` in the direction of `b`."""
    d = point_distance(a, b) or 1
    return (a[0] + (b[0] - a[0]) * by / d, a[1] + (b[1] - a[1]) * by / d)

"""A diagram with the width of a column or page, and text that can still be read on paper."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace

from specbuild.diagram.scene import Curve, Scene, Shape, TextLine

MIN_TEXT = 6.0  # points, on paper
SMALLEST_TEXT = 8.0  # of a diagram that is not scaled
MAX_SCALE = 1.25
SHORTER_ROWS = 0.75
UNITS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pt": 1.0}
WIDTH = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)(in|cm|mm|pt)")
MAX_HEIGHT = 9 * 72.0  # of the text of a page
MIN_WIDTH, MAX_WIDTH = 72.0, 7200.0

ComposeFunction = Callable[[str, float], Scene]  # from a direction and the width of a page


def parse_width(text: str) -> float | None:
    """Return a width such as `3.3in`, `84mm` or `240pt` in points; None if it is none."""
    match = WIDTH.fullmatch(text)
    width = float(match[1]) * UNITS[match[2]] if match else 0.0
    return width if MIN_WIDTH <= width <= MAX_WIDTH else None


def fit_width(compose: ComposeFunction, width: float, direction: str, log: Callable[[str], None]) -> Scene:
    """Return a diagram that is as wide as asked, in points; wider, with a message, if its text would be too small.

    If it does not fit, shorter rows are tried, then the other direction.
    """
    limit = width * SMALLEST_TEXT / MIN_TEXT
    turned = "TB" if direction == "LR" else "LR"
    scene = compose(direction, limit)
    for other_direction, other_limit in ((direction, SHORTER_ROWS * limit), (turned, limit)):
        if scene.width > limit + 0.5:
            scene = min(scene, compose(other_direction, other_limit), key=lambda s: s.width)
    scale = min(width / scene.width, MAX_SCALE)
    if scale < MIN_TEXT / SMALLEST_TEXT - 0.001:
        scale = MIN_TEXT / SMALLEST_TEXT
        log(
            f"the picture is {scene.width * scale / 72:.1f}in wide, not {width / 72:.1f}in: its text would be smaller "
            f"than {MIN_TEXT:g} pt. To draw less, use --depth 1, --open, --no-counts or --no-legend"
        )
    scaled = scale_scene(scene, scale)
    scaled.width = max(scaled.width, width)
    if scaled.height > MAX_HEIGHT:
        log(
            f"the picture is {scaled.height / 72:.1f}in high, more than a page. To draw less, use --depth 1, --open, "
            "--no-counts or --no-legend, or a larger --width"
        )
    return scaled


def scale_scene(scene: Scene, scale: float) -> Scene:
    """Return a diagram with all lengths multiplied; one unit is then one point on paper."""
    groups = [replace(g, shapes=tuple(scale_shape(s, scale) for s in g.shapes)) for g in scene.groups]
    return replace(scene, width=scene.width * scale, height=scene.height * scale, groups=groups, unit="pt")


def scale_shape(shape: Shape, scale: float) -> Shape:
    if isinstance(shape, TextLine):
        return replace(shape, x=shape.x * scale, y=shape.y * scale, size=shape.size * scale)
    width = shape.stroke_width * scale
    if isinstance(shape, Curve):
        points = tuple((x * scale, y * scale) for x, y in shape.points)
        return replace(shape, points=points, stroke_width=width)
    return replace(
        shape,
        x=shape.x * scale,
        y=shape.y * scale,
        w=shape.w * scale,
        h=shape.h * scale,
        radius=shape.radius * scale,
        stroke_width=width,
    )

"""A diagram with the width of a column or page, and text that can still be read on paper."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace

from specbuild.diagram.card_rows import COMPACT_FORMAT, WITHOUT_COUNTS, CardFormat
from specbuild.diagram.panel_placement import PageFormat
from specbuild.diagram.scene import Curve, Scene, Shape, TextLine

MIN_TEXT = 6.0  # points, on paper
MAX_SCALE = 1.25
SHORTER_ROWS = (0.88, 0.75)
LEAST_GAIN = 0.02  # of the size of a page, for which counts are left out: a page has margins
UNITS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pt": 1.0}
WIDTH = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)(in|cm|mm|pt)")
MAX_HEIGHT = 9 * 72.0  # of the text of a page
MIN_WIDTH, MAX_WIDTH = 72.0, 7200.0

ComposeFunction = Callable[[str, PageFormat], Scene]  # from a direction


def parse_width(text: str) -> float | None:
    """Return a width such as `3.3in`, `84mm` or `240pt` in points; None if it is none."""
    match = WIDTH.fullmatch(text)
    width = float(match[1]) * UNITS[match[2]] if match else 0.0
    return width if MIN_WIDTH <= width <= MAX_WIDTH else None


def fit_width(
    compose: ComposeFunction,
    page_format: PageFormat,
    width: float,
    direction: str,
    log: Callable[[str], None],
) -> Scene:
    """Return a diagram that is as wide as asked, in points; wider, with a message, if its text would be too small.

    If it is larger than a page, cards without counts are tried, then compact ones.
    """
    formats = (page_format.cards, WITHOUT_COUNTS, COMPACT_FORMAT)
    best: tuple[float, Scene, CardFormat] | None = None
    for cards in formats:
        found = narrowest_scene(compose, replace(page_format, cards=cards), width, direction)
        excess = page_excess(found, width)
        if best is None or excess < best[0] - LEAST_GAIN:
            best = (excess, found, cards)
        if excess <= 1 + LEAST_GAIN:
            break
    assert best is not None
    _, scene, chosen = best
    if chosen is not page_format.cards and page_format.has_counts:
        log("the picture has no counts, since it would be larger than a page with them")
    scale = scale_to(scene, width)
    if width / scene.width < scale - 0.001:
        log(
            f"the picture is {scene.width * scale / 72:.1f}in wide, not {width / 72:.1f}in: its text would be smaller "
            f"than {MIN_TEXT:g} pt. To draw less, use --depth 1, --open, --no-counts or --no-legend"
        )
    scaled = scale_scene(scene, scale)
    scaled.width = max(scaled.width, width)
    if scaled.height > MAX_HEIGHT * (1 + LEAST_GAIN):
        log(
            f"the picture is {scaled.height / 72:.1f}in high, more than a page. To draw less, use --depth 1, --open, "
            "--no-counts or --no-legend, or a larger --width"
        )
    return scaled


def narrowest_scene(compose: ComposeFunction, page_format: PageFormat, width: float, direction: str) -> Scene:
    """Return a diagram that fits the width, else the narrowest.

    It may have shorter rows, no panels that are too wide, or the other direction.
    """
    growth = page_format.cards.small_size / MIN_TEXT
    limit = width * growth
    page = replace(page_format, width=limit, is_fixed=True, height=MAX_HEIGHT * growth)
    turned = "TB" if direction == "LR" else "LR"
    scene = compose(direction, page)
    trials = [(direction, part, False) for part in SHORTER_ROWS]
    trials += [(direction, 1.0, True), (direction, SHORTER_ROWS[-1], True), (turned, 1.0, True)]
    for other_direction, part, omits_wide in trials:
        if scene.width > limit + 0.5:
            other_page = replace(page, width=limit * part, omits_wide=omits_wide)
            scene = min(scene, compose(other_direction, other_page), key=lambda s: s.width)
    return scene


def scale_to(scene: Scene, width: float) -> float:
    """Return by how much a diagram is scaled: to the width and to a page, unless its smallest text would be too small."""
    smallest = min((s.size for g in scene.groups for s in g.shapes if isinstance(s, TextLine)), default=10.0)
    return max(min(width / scene.width, MAX_HEIGHT / scene.height, MAX_SCALE), MIN_TEXT / smallest)


def page_excess(scene: Scene, width: float) -> float:
    """Return how much wider or higher than the page a diagram is: 1 if it just fits."""
    scale = scale_to(scene, width)
    return max(scene.width * scale / width, scene.height * scale / MAX_HEIGHT)


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

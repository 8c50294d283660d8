"""A scene as PNG or PDF: Graphviz draws its shapes as the background of an empty graph."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.diagram.graphviz_process import run_graphviz
from specbuild.diagram.palette import find_colour
from specbuild.diagram.scene import Point, Rect, Scene, Shape, TextLine, straight_path
from specbuild.diagram.svg_format import arrow_head
from specbuild.diagram.text_metrics import advance_widths

MAX_PIXELS = 16_000  # of the longer side
MAX_STRING = 4_000  # characters in one piece of a DOT string
DPI = 144
PRINT_DPI = 300  # of a diagram with a width on paper


def render_image(scene: Scene, format: str, theme: str) -> bytes:
    """Return the bytes of a PNG or PDF file. Raises SB951 and SB954."""
    is_dark = theme == "dark"
    has_other_characters = any(
        isinstance(s, TextLine) and not set(s.text) <= set(advance_widths(s.bold))
        for g in scene.groups
        for s in g.shapes
    )
    return run_graphviz(
        [drawing_graph(scene, is_dark, format)], "nop2", format, other_fonts=has_other_characters
    )[0]


def drawing_graph(scene: Scene, is_dark: bool, format: str) -> str:
    """Return a graph with two invisible nodes in opposite corners, and the scene as its background."""
    operations = " ".join(
        op for g in scene.groups for s in g.shapes for op in shape_operations(s, scene.height, is_dark)
    )
    w, h = scene.width, scene.height
    dpi = min(PRINT_DPI if scene.unit else DPI, int(MAX_PIXELS * 72 / max(w, h))) if format == "png" else 72
    corner = 'shape=point, style=invis, width=0, height=0, label=""'
    text = quote_string(operations)
    return (
        f'digraph {{ graph [pad=0, dpi={dpi}, bgcolor="{find_colour("page", is_dark)}", _background={text}]; '
        f'a [{corner}, pos="0,0"]; b [{corner}, pos="{w:.1f},{h:.1f}"]; }}'
    )


def quote_string(text: str) -> str:
    """Return a string of DOT in pieces: Graphviz reads at most 16,384 bytes in one piece."""
    pieces = [text[i : i + MAX_STRING] for i in range(0, len(text), MAX_STRING)]
    return " + ".join('"' + piece.replace('"', '\\"') + '"' for piece in pieces)


def shape_operations(shape: Shape, height: float, is_dark: bool) -> list[str]:
    """Return a shape as xdot drawing operations, in which y points up."""
    if isinstance(shape, TextLine):
        x = shape.x - shape.width / 2 if shape.is_centered else shape.x
        text = shape.text.replace("\\", "\u2216")
        size = len(text.encode())
        return [
            f"F {shape.size:g} 5 -Inter t {int(shape.bold)}",
            counted_text("c", find_colour(shape.fill, is_dark)),
            f"T {x:.2f} {height - shape.y:.2f} -1 {shape.width:.2f} {size} -{text}",
        ]
    if isinstance(shape, Rect):
        return rectangle_operations(shape, height, is_dark)
    points = shape.points
    operations = [
        counted_text("c", find_colour(shape.stroke, is_dark)),
        style_operation("dotted" if shape.is_dashed else "solid"),
        width_operation(shape.stroke_width),
    ]
    head: list[str] = []
    if shape.has_arrow:
        base, corners = arrow_head(shape)
        points = (*points[:-1], base)
        head = [
            counted_text("C", find_colour(shape.stroke, is_dark)),
            width_operation(0.5),
            f"P 3 {format_points(corners, height)}",
        ]
    return [*operations, f"B {len(points)} {format_points(points, height)}", style_operation("solid"), *head]


def rectangle_operations(shape: Rect, height: float, is_dark: bool) -> list[str]:
    operations = [
        counted_text("c", find_colour(shape.stroke or shape.fill, is_dark)),
        style_operation("dashed" if shape.is_dashed else "solid"),
        width_operation(shape.stroke_width if shape.stroke else 0.01),
    ]
    if shape.fill:
        operations.append(counted_text("C", find_colour(shape.fill, is_dark)))
    x0, y0, x1, y1 = shape.x, shape.y, shape.x + shape.w, shape.y + shape.h
    r = min(shape.radius, shape.w / 2, shape.h / 2)
    if r <= 0:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        return [*operations, f"P 4 {format_points(corners, height)}", style_operation("solid")]
    points = rounded_outline(x0, y0, x1, y1, r)
    operation = "b" if shape.fill else "B"
    outline = f"{operation} {len(points)} {format_points(points, height)}"
    return [*operations, outline, style_operation("solid")]


def rounded_outline(x0: float, y0: float, x1: float, y1: float, r: float) -> tuple[Point, ...]:
    """Return a rectangle with round corners as cubic segments. It starts after the top left corner."""
    k = 0.448 * r
    corners = (
        ((x1, y0), (1, 0), (0, 1)),
        ((x1, y1), (0, 1), (-1, 0)),
        ((x0, y1), (-1, 0), (0, -1)),
        ((x0, y0), (0, -1), (1, 0)),
    )
    path: list[Point] = [(x0 + r, y0)]
    for (x, y), (ax, ay), (bx, by) in corners:
        path += straight_path([path[-1], (x - ax * r, y - ay * r)])[1:]
        path += [(x - ax * k, y - ay * k), (x + bx * k, y + by * k), (x + bx * r, y + by * r)]
    return tuple(path)


def format_points(points: Sequence[Point], height: float) -> str:
    return " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)


def counted_text(operation: str, text: str) -> str:
    """Return an operation with a text and its length."""
    return f"{operation} {len(text)} -{text}"


def style_operation(name: str) -> str:
    return counted_text("S", name)


def width_operation(points: float) -> str:
    return counted_text("S", f"setlinewidth({points:g})")

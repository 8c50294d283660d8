"""A scene as PNG or PDF: the same shapes as drawing operations on an empty graph, drawn by Graphviz."""

from __future__ import annotations

from specbuild.diagram import graphviz_process as engine
from specbuild.diagram.palette import find_tone
from specbuild.diagram.scene import Point, Rect, Scene, Shape, Text, straight_path
from specbuild.diagram.svg_format import arrow_head
from specbuild.diagram.text_metrics import advance_widths

MAX_PIXELS = 16_000
MAX_STRING = 4_000
DPI = 144


def render_image(scene: Scene, format: str, theme: str) -> bytes:
    """The bytes of the file."""
    dark = theme == "dark"
    others = any(
        isinstance(s, Text) and not set(s.text) <= set(advance_widths(s.bold))
        for g in scene.groups
        for s in g.shapes
    )
    return engine.run_graphviz([drawing_graph(scene, dark, format)], "nop2", format, other_fonts=others)[0]


def drawing_graph(scene: Scene, dark: bool, format: str) -> str:
    operations = " ".join(
        op for g in scene.groups for s in g.shapes for op in shape_operations(s, scene.height, dark)
    )
    w, h = scene.width, scene.height
    dpi = min(DPI, int(MAX_PIXELS * 72 / max(w, h))) if format == "png" else 72
    corner = 'shape=point, style=invis, width=0, height=0, label=""'
    text = quote_string(operations)
    return (
        f'digraph {{ graph [pad=0, dpi={dpi}, bgcolor="{token_colour("page", dark)}", _background={text}]; '
        f'a [{corner}, pos="0,0"]; b [{corner}, pos="{w:.1f},{h:.1f}"]; }}'
    )


def quote_string(text: str) -> str:
    """A string of DOT, in pieces: Graphviz reads none that is longer than 16,384 bytes."""
    pieces = [text[i : i + MAX_STRING] for i in range(0, len(text), MAX_STRING)]
    return " + ".join('"' + piece.replace('"', '\\"') + '"' for piece in pieces)


def shape_operations(shape: Shape, height: float, dark: bool) -> list[str]:
    def format_points(points: tuple[Point, ...]) -> str:
        return " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)

    if isinstance(shape, Text):
        x = shape.x - shape.width / 2 if shape.is_centered else shape.x
        text = shape.text.replace("\\", "\u2216")
        size = len(text.encode())
        return [
            f"F {shape.size:g} 5 -Inter t {int(shape.bold)}",
            counted_text("c", token_colour(shape.fill, dark)),
            f"T {x:.2f} {height - shape.y:.2f} -1 {shape.width:.2f} {size} -{text}",
        ]
    if isinstance(shape, Rect):
        return rectangle_operations(shape, height, dark)
    points = shape.points
    operations = [
        counted_text("c", token_colour(shape.stroke, dark)),
        style_operation("dotted" if shape.is_dashed else "solid"),
        width_operation(shape.stroke_width),
    ]
    head: list[str] = []
    if shape.has_arrow:
        base, corners = arrow_head(shape)
        points = (*points[:-1], base)
        head = [
            counted_text("C", token_colour(shape.stroke, dark)),
            width_operation(0.5),
            f"P 3 {format_points(corners)}",
        ]
    return [*operations, f"B {len(points)} {format_points(points)}", style_operation("solid"), *head]


def rectangle_operations(shape: Rect, height: float, dark: bool) -> list[str]:
    operations = [
        counted_text("c", token_colour(shape.stroke or shape.fill, dark)),
        style_operation("dashed" if shape.is_dashed else "solid"),
        width_operation(shape.stroke_width if shape.stroke else 0.01),
    ]
    if shape.fill:
        operations.append(counted_text("C", token_colour(shape.fill, dark)))
    x0, y0, x1, y1 = shape.x, shape.y, shape.x + shape.w, shape.y + shape.h
    r = min(shape.radius, shape.w / 2, shape.h / 2)
    if r <= 0:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        listed = " ".join(f"{x:.2f} {height - y:.2f}" for x, y in corners)
        return [*operations, f"P 4 {listed}", style_operation("solid")]
    points = rounded_outline(x0, y0, x1, y1, r)
    listed = " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)
    return [*operations, f"{'b' if shape.fill else 'B'} {len(points)} {listed}", style_operation("solid")]


def rounded_outline(x0: float, y0: float, x1: float, y1: float, r: float) -> tuple[Point, ...]:
    """A rectangle with round corners as cubic segments, from the end of its first corner on."""
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


def counted_text(operation: str, text: str) -> str:
    return f"{operation} {len(text)} -{text}"


def style_operation(name: str) -> str:
    return counted_text("S", name)


def width_operation(points: float) -> str:
    return counted_text("S", f"setlinewidth({points:g})")


def token_colour(token: str, dark: bool) -> str:
    return find_tone(token).dark if dark else find_tone(token).light

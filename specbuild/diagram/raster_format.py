"""A scene as PNG or PDF: the same shapes as drawing operations on an empty graph, drawn by Graphviz."""

from __future__ import annotations

from specbuild.diagram import graphviz_process as engine
from specbuild.diagram.palette import tone
from specbuild.diagram.scene import Point, Rect, Scene, Shape, Text, straight
from specbuild.diagram.svg_format import arrow
from specbuild.diagram.text_metrics import advances

MOST_PIXELS = 16_000
MOST_STRING = 4_000
DPI = 144


def image(scene: Scene, format: str, theme: str) -> bytes:
    """The bytes of the file."""
    dark = theme == "dark"
    others = any(
        isinstance(s, Text) and not set(s.text) <= set(advances(s.bold))
        for g in scene.groups
        for s in g.shapes
    )
    return engine.run([graph(scene, dark, format)], "nop2", format, other_fonts=others)[0]


def graph(scene: Scene, dark: bool, format: str) -> str:
    operations = " ".join(op for g in scene.groups for s in g.shapes for op in drawn(s, scene.height, dark))
    w, h = scene.width, scene.height
    dpi = min(DPI, int(MOST_PIXELS * 72 / max(w, h))) if format == "png" else 72
    corner = 'shape=point, style=invis, width=0, height=0, label=""'
    text = quoted(operations)
    return (
        f'digraph {{ graph [pad=0, dpi={dpi}, bgcolor="{colour("page", dark)}", _background={text}]; '
        f'a [{corner}, pos="0,0"]; b [{corner}, pos="{w:.1f},{h:.1f}"]; }}'
    )


def quoted(text: str) -> str:
    """A string of DOT, in pieces: Graphviz reads none that is longer than 16,384 bytes."""
    pieces = [text[i : i + MOST_STRING] for i in range(0, len(text), MOST_STRING)]
    return " + ".join('"' + piece.replace('"', '\\"') + '"' for piece in pieces)


def drawn(shape: Shape, height: float, dark: bool) -> list[str]:
    def at(points: tuple[Point, ...]) -> str:
        return " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)

    if isinstance(shape, Text):
        x = shape.x - shape.width / 2 if shape.middle else shape.x
        text = shape.text.replace("\\", "\u2216")
        size = len(text.encode())
        return [
            f"F {shape.size:g} 5 -Inter t {int(shape.bold)}",
            told("c", colour(shape.fill, dark)),
            f"T {x:.2f} {height - shape.y:.2f} -1 {shape.width:.2f} {size} -{text}",
        ]
    if isinstance(shape, Rect):
        return rectangle(shape, height, dark)
    points = shape.points
    found = [
        told("c", colour(shape.line, dark)),
        style("dotted" if shape.dash else "solid"),
        thick(shape.thick),
    ]
    head: list[str] = []
    if shape.arrow:
        base, corners = arrow(shape)
        points = (*points[:-1], base)
        head = [told("C", colour(shape.line, dark)), thick(0.5), f"P 3 {at(corners)}"]
    return [*found, f"B {len(points)} {at(points)}", style("solid"), *head]


def rectangle(shape: Rect, height: float, dark: bool) -> list[str]:
    found = [
        told("c", colour(shape.line or shape.fill, dark)),
        style("dashed" if shape.dash else "solid"),
        thick(shape.thick if shape.line else 0.01),
    ]
    if shape.fill:
        found.append(told("C", colour(shape.fill, dark)))
    x0, y0, x1, y1 = shape.x, shape.y, shape.x + shape.w, shape.y + shape.h
    r = min(shape.radius, shape.w / 2, shape.h / 2)
    if r <= 0:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        listed = " ".join(f"{x:.2f} {height - y:.2f}" for x, y in corners)
        return [*found, f"P 4 {listed}", style("solid")]
    points = outline(x0, y0, x1, y1, r)
    listed = " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)
    return [*found, f"{'b' if shape.fill else 'B'} {len(points)} {listed}", style("solid")]


def outline(x0: float, y0: float, x1: float, y1: float, r: float) -> tuple[Point, ...]:
    """A rectangle with round corners as cubic segments, from the end of its first corner on."""
    k = 0.448 * r
    corners = (
        ((x1, y0), (1, 0), (0, 1)),
        ((x1, y1), (0, 1), (-1, 0)),
        ((x0, y1), (-1, 0), (0, -1)),
        ((x0, y0), (0, -1), (1, 0)),
    )
    found: list[Point] = [(x0 + r, y0)]
    for (x, y), (ax, ay), (bx, by) in corners:
        found += straight([found[-1], (x - ax * r, y - ay * r)])[1:]
        found += [(x - ax * k, y - ay * k), (x + bx * k, y + by * k), (x + bx * r, y + by * r)]
    return tuple(found)


def told(operation: str, text: str) -> str:
    return f"{operation} {len(text)} -{text}"


def style(name: str) -> str:
    return told("S", name)


def thick(points: float) -> str:
    return told("S", f"setlinewidth({points:g})")


def colour(token: str, dark: bool) -> str:
    return tone(token).dark if dark else tone(token).light

"""A scene as SVG: text that cannot overflow, colours that follow the reader's theme, nothing that runs."""

from __future__ import annotations

import base64
from functools import cache
from xml.sax.saxutils import escape, quoteattr

from specbuild.diagram.palette import find_tone, list_tokens
from specbuild.diagram.scene import Curve, Rect, Scene, Shape, ShapeGroup, Text, move_towards, point_distance
from specbuild.diagram.text_metrics import FONTS, display_text

FONT_FAMILY = "Inter specbuild"
FONT_STACK = f"'{FONT_FAMILY}',Inter,'Segoe UI','Helvetica Neue',Arial,sans-serif"
TOKEN_CODES = {token: f"{i:x}" for i, token in enumerate(list_tokens())}


def render_svg(scene: Scene, theme: str = "auto") -> str:
    """The picture as a document of its own, or as a part of a page."""
    dark = theme == "dark"
    w, h = format_coordinate(scene.width), format_coordinate(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="specbuild-{theme}" role="img" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" style="max-width:100%;height:auto" font-family="{FONT_STACK}" font-size="10">',
        f"<title>{escape(display_text(scene.title, 120))}</title>",
        f"<desc>{escape(display_text(scene.description, 300))}</desc>",
        f"<style>{style_sheet(theme)}</style>",
        f'<rect width="{w}" height="{h}" {paint_attributes("fill", "page", dark)}/>',
    ]
    for group in scene.groups:
        lines.append(group_element(group, dark))
    return "\n".join([*lines, "</svg>"]) + "\n"


def group_element(group: ShapeGroup, dark: bool) -> str:
    inside = "".join(shape_element(s, dark) for s in group.shapes)
    steps = f" data-steps={quoteattr(' '.join(group.steps))}" if group.steps else ""
    panel = f" data-panel={quoteattr(group.panel)}" if group.panel else ""
    tooltip = f"<title>{escape(group.tooltip)}</title>" if group.tooltip else ""
    element = f'<g class="sb-{group.role}"{panel}{steps}>{tooltip}{inside}</g>'
    return f"<a href={quoteattr(group.url)}>{element}</a>" if group.url else element


def shape_element(item: Shape, dark: bool) -> str:
    if isinstance(item, Rect):
        line = (
            f' {paint_attributes("stroke", item.stroke, dark)} stroke-width="{format_coordinate(item.stroke_width)}"'
            if item.stroke
            else ""
        )
        fill = paint_attributes("fill", item.fill, dark) if item.fill else 'fill="none"'
        dash = ' stroke-dasharray="4 3"' if item.is_dashed else ""
        radius = f' rx="{format_coordinate(item.radius)}"' if item.radius else ""
        merged = merge_classes(fill, line)
        return f'<rect x="{format_coordinate(item.x)}" y="{format_coordinate(item.y)}" width="{format_coordinate(item.w)}" height="{format_coordinate(item.h)}"{radius} {merged}{dash}/>'
    if isinstance(item, Text):
        bold = ' font-weight="700"' if item.bold else ""
        size = f' font-size="{format_coordinate(item.size)}"' if item.size != 10 else ""
        middle = ' text-anchor="middle"' if item.is_centered else ""
        length = (
            f' textLength="{format_coordinate(item.width)}" lengthAdjust="spacingAndGlyphs"'
            if len(item.text) > 1
            else ""
        )
        return (
            f'<text x="{format_coordinate(item.x)}" y="{format_coordinate(item.y)}"{size}{bold}{middle}{length} {paint_attributes("fill", item.fill, dark)}>'
            f"{escape(item.text)}</text>"
        )
    return curve_element(item, dark)


def curve_element(item: Curve, dark: bool) -> str:
    points = item.points
    head = ""
    if item.has_arrow:
        base, corners = arrow_head(item)
        points = (*points[:-1], base)
        head = f'<path d="M{format_point(corners[0])}L{format_point(corners[1])}L{format_point(corners[2])}Z" {paint_attributes("fill", item.stroke, dark)}/>'
    path = f"M{format_point(points[0])}" + "".join(
        f"C{format_point(a)} {format_point(b)} {format_point(c)}"
        for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True)
    )
    dash = ' stroke-dasharray="2 3"' if item.is_dashed else ""
    line = f'<path d="{path}" fill="none" {paint_attributes("stroke", item.stroke, dark)} stroke-width="{format_coordinate(item.stroke_width)}"{dash}/>'
    return line + head


def arrow_head(item: Curve) -> tuple[tuple[float, float], tuple[tuple[float, float], ...]]:
    """Where the line ends, and the three corners of the head at its end."""
    tip = item.points[-1]
    before = next((p for p in reversed(item.points[:-1]) if point_distance(p, tip) > 0.5), item.points[0])
    back = move_towards(tip, before, 6.5)
    dx, dy = (back[1] - tip[1]) * 0.4, (tip[0] - back[0]) * 0.4
    base = move_towards(tip, before, 5)
    return base, (tip, (back[0] + dx, back[1] + dy), (back[0] - dx, back[1] - dy))


def paint_attributes(attribute: str, token: str, dark: bool) -> str:
    """The colour as an attribute that every viewer knows, and a class by which the dark theme changes it."""
    colour = find_tone(token).dark if dark else find_tone(token).light
    return f'class="{attribute[0]}{TOKEN_CODES[token]}" {attribute}="{colour}"'


def merge_classes(fill: str, line: str) -> str:
    """Two classes in one attribute."""
    if not line or not fill.startswith("class="):
        return f"{fill}{line}"
    first, second = fill.split('"', 2), line.strip().split('"', 2)
    return f'class="{first[1]} {second[1]}"{first[2]}{second[2]}'


@cache
def style_sheet(theme: str) -> str:
    faces = "".join(
        f"@font-face{{font-family:'{FONT_FAMILY}';font-weight:{weight};src:url(data:font/woff2;base64,{encode_font(name)})}}"
        for weight, name in ((400, "Regular"), (700, "Bold"))
    )
    hover = ".sb-link:hover path,.sb-leap:hover path{stroke-width:2.6}.sb-box:hover>rect:first-of-type{stroke-width:2}"
    if theme != "auto":
        return faces + hover
    return f"{faces}{hover}@media(prefers-color-scheme:dark){{{theme_rules('dark')}}}"


@cache
def theme_rules(theme: str, selector: str = "") -> str:
    """What gives pictures that follow their reader the colours of a theme, inside of what a selector finds."""
    within = f"{selector} .specbuild-auto".lstrip()
    colours = [
        (code, find_tone(token).dark if theme == "dark" else find_tone(token).light)
        for token, code in TOKEN_CODES.items()
    ]
    return "".join(f"{within} .f{code}{{fill:{c}}}{within} .s{code}{{stroke:{c}}}" for code, c in colours)


@cache
def encode_font(name: str) -> str:
    return base64.b64encode((FONTS / f"Inter-{name}.woff2").read_bytes()).decode("ascii")


def format_coordinate(value: float) -> str:
    return (
        f"{value:.1f}".rstrip("0").rstrip(".").replace("-0", "0")
        if abs(value) < 0.05
        else f"{value:.1f}".rstrip("0").rstrip(".")
    )


def format_point(p: tuple[float, float]) -> str:
    return f"{format_coordinate(p[0])} {format_coordinate(p[1])}"

"""A scene as SVG without scripts. Text cannot overflow, and colours follow the theme of the reader."""

from __future__ import annotations

import base64
from functools import cache
from xml.sax.saxutils import escape, quoteattr

from specbuild.diagram.palette import find_colour, list_tokens
from specbuild.diagram.scene import (
    Curve,
    Rect,
    Scene,
    Shape,
    ShapeGroup,
    TextLine,
    move_towards,
    point_distance,
)
from specbuild.diagram.text_metrics import FONTS, display_text

FONT_FAMILY = "Inter specbuild"
FONT_STACK = f"'{FONT_FAMILY}',Inter,'Segoe UI','Helvetica Neue',Arial,sans-serif"
# For each colour token: what its class names end with.
TOKEN_CODES = {token: f"{i:x}" for i, token in enumerate(list_tokens())}


def render_svg(scene: Scene, theme: str = "auto") -> str:
    """Return an SVG document, which can also be embedded in a page. The theme `auto` follows the reader's."""
    is_dark = theme == "dark"
    w, h = format_coordinate(scene.width), format_coordinate(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="specbuild-{theme}" role="img" '
        f'width="{w}{scene.unit}" height="{h}{scene.unit}" viewBox="0 0 {w} {h}" style="max-width:100%;height:auto" '
        f'font-family="{FONT_STACK}" font-size="10">',
        f"<title>{escape(display_text(scene.title, 120))}</title>",
        f"<desc>{escape(display_text(scene.description, 300))}</desc>",
        f"<style>{style_sheet(theme)}</style>",
        f'<rect width="{w}" height="{h}" {paint_attributes("fill", "page", is_dark)}/>',
    ]
    for group in scene.groups:
        lines.append(group_element(group, is_dark))
    return "\n".join([*lines, "</svg>"]) + "\n"


def drawing_element(scene: Scene) -> str:
    """Return a drawing for a page that has the style sheet, with the attributes that a script there reads."""
    w, h = format_coordinate(scene.width), format_coordinate(scene.height)
    groups = "".join(group_element(group, False, is_interactive=True) for group in scene.groups)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="specbuild-auto" role="img" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" font-family="{FONT_STACK}" font-size="10">'
        f"<title>{escape(display_text(scene.title, 120))}</title>{groups}</svg>"
    )


def group_element(group: ShapeGroup, is_dark: bool, *, is_interactive: bool = False) -> str:
    inside = "".join(shape_element(s, is_dark) for s in group.shapes)
    steps = f" data-steps={quoteattr(' '.join(group.steps))}" if group.steps else ""
    panel = f" data-panel={quoteattr(group.panel)}" if group.panel and group.ends is None else ""
    if is_interactive:
        panel = interactive_attributes(group)
    tooltip = f"<title>{escape(group.tooltip)}</title>" if group.tooltip else ""
    element = f'<g class="sb-{group.role}"{panel}{steps}>{tooltip}{inside}</g>'
    return f"<a href={quoteattr(group.url)}>{element}</a>" if group.url else element


def interactive_attributes(group: ShapeGroup) -> str:
    """Return the keys by which a script finds a box, the links at it and the panel that it opens."""
    attributes = ""
    if group.key:
        attributes += f' data-key={quoteattr(group.key)} tabindex="0"'
    if group.ends is not None:
        attributes += f" data-ends={quoteattr(' '.join(group.ends))}"
    if group.opens:
        attributes += f" data-opens={quoteattr(group.opens)}"
    return attributes


def shape_element(shape: Shape, is_dark: bool) -> str:
    if isinstance(shape, Rect):
        return rect_element(shape, is_dark)
    if isinstance(shape, TextLine):
        return text_element(shape, is_dark)
    return curve_element(shape, is_dark)


def rect_element(rect: Rect, is_dark: bool) -> str:
    x, y, w, h = (format_coordinate(value) for value in (rect.x, rect.y, rect.w, rect.h))
    radius = f' rx="{format_coordinate(rect.radius)}"' if rect.radius else ""
    fill = paint_attributes("fill", rect.fill, is_dark) if rect.fill else 'fill="none"'
    line = f" {stroke_attributes(rect.stroke, rect.stroke_width, is_dark)}" if rect.stroke else ""
    dash = ' stroke-dasharray="4 3"' if rect.is_dashed else ""
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}"{radius} {merge_classes(fill, line)}{dash}/>'


def text_element(text: TextLine, is_dark: bool) -> str:
    """Return a line of text, with its length: another font is squeezed or stretched to the same width."""
    x, y = format_coordinate(text.x), format_coordinate(text.y)
    size = f' font-size="{format_coordinate(text.size)}"' if text.size != 10 else ""
    bold = ' font-weight="700"' if text.bold else ""
    anchor = ' text-anchor="middle"' if text.is_centered else ""
    length = ""
    if len(text.text) > 1:
        length = f' textLength="{format_coordinate(text.width)}" lengthAdjust="spacingAndGlyphs"'
    fill = paint_attributes("fill", text.fill, is_dark)
    return f'<text x="{x}" y="{y}"{size}{bold}{anchor}{length} {fill}>{escape(text.text)}</text>'


def curve_element(curve: Curve, is_dark: bool) -> str:
    """Return the line of a curve, and its arrow head if it has one."""
    points = curve.points
    head = ""
    if curve.has_arrow:
        end, corners = arrow_head(curve)
        points = (*points[:-1], end)
        outline = "L".join(format_point(corner) for corner in corners)
        head = f'<path d="M{outline}Z" {paint_attributes("fill", curve.stroke, is_dark)}/>'
    segments = zip(points[1::3], points[2::3], points[3::3], strict=True)
    curves = "".join(f"C{format_point(a)} {format_point(b)} {format_point(c)}" for a, b, c in segments)
    stroke = stroke_attributes(curve.stroke, curve.stroke_width, is_dark)
    dash = ' stroke-dasharray="2 3"' if curve.is_dashed else ""
    return f'<path d="M{format_point(points[0])}{curves}" fill="none" {stroke}{dash}/>{head}'


def arrow_head(curve: Curve) -> tuple[tuple[float, float], tuple[tuple[float, float], ...]]:
    """Return the point where the line ends, and the three corners of the arrow head."""
    tip = curve.points[-1]
    before = next((p for p in reversed(curve.points[:-1]) if point_distance(p, tip) > 0.5), curve.points[0])
    back = move_towards(tip, before, 6.5)
    dx, dy = (back[1] - tip[1]) * 0.4, (tip[0] - back[0]) * 0.4
    base = move_towards(tip, before, 5)
    return base, (tip, (back[0] + dx, back[1] + dy), (back[0] - dx, back[1] - dy))


def paint_attributes(attribute: str, token: str, is_dark: bool) -> str:
    """Return a colour as an attribute, and a class by which a style sheet changes it for the other theme."""
    colour = find_colour(token, is_dark)
    return f'class="{attribute[0]}{TOKEN_CODES[token]}" {attribute}="{colour}"'


def stroke_attributes(token: str, width: float, is_dark: bool) -> str:
    return f'{paint_attributes("stroke", token, is_dark)} stroke-width="{format_coordinate(width)}"'


def merge_classes(fill: str, line: str) -> str:
    """Return the attributes of a fill and a line, with both classes in one attribute."""
    if not line or not fill.startswith("class="):
        return f"{fill}{line}"
    first, second = fill.split('"', 2), line.strip().split('"', 2)
    return f'class="{first[1]} {second[1]}"{first[2]}{second[2]}'


@cache
def style_sheet(theme: str) -> str:
    """Return the fonts, the hover effects, and for the theme `auto` the dark colours."""
    faces = "".join(font_face(name, weight) for name, weight in (("Regular", 400), ("Bold", 700)))
    thicker_links = ".sb-link:hover path,.sb-leap:hover path,.sb-size:hover path{stroke-width:2.6}"
    thicker_boxes = ".sb-box:hover>rect:first-of-type{stroke-width:2}"
    dark = f"@media(prefers-color-scheme:dark){{{theme_rules('dark')}}}" if theme == "auto" else ""
    return f"{faces}{thicker_links}{thicker_boxes}{dark}"


@cache
def theme_rules(theme: str, selector: str = "") -> str:
    """Return CSS rules that give diagrams with the theme `auto` the colours of a theme, inside a CSS selector."""
    within = f"{selector} .specbuild-auto".lstrip()
    colours = [(code, find_colour(token, theme == "dark")) for token, code in TOKEN_CODES.items()]
    return "".join(f"{within} .f{code}{{fill:{c}}}{within} .s{code}{{stroke:{c}}}" for code, c in colours)


@cache
def font_face(name: str, weight: int) -> str:
    """Return a CSS rule that embeds a bundled font."""
    data = base64.b64encode((FONTS / f"Inter-{name}.woff2").read_bytes()).decode("ascii")
    source = f"url(data:font/woff2;base64,{data})"
    return f"@font-face{{font-family:'{FONT_FAMILY}';font-weight:{weight};src:{source}}}"


def format_coordinate(value: float) -> str:
    """Return a number with at most one decimal; never `-0`."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def format_point(p: tuple[float, float]) -> str:
    return f"{format_coordinate(p[0])} {format_coordinate(p[1])}"

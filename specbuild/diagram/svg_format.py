"""A scene as SVG: text that cannot overflow, colours that follow the reader's theme, nothing that runs."""

from __future__ import annotations

import base64
from functools import cache
from xml.sax.saxutils import escape, quoteattr

from specbuild.diagram.palette import every_token, tone
from specbuild.diagram.scene import Curve, Group, Rect, Scene, Shape, Text, distance, towards
from specbuild.diagram.text_metrics import FONTS, shown

FAMILY = "Inter specbuild"
STACK = f"'{FAMILY}',Inter,'Segoe UI','Helvetica Neue',Arial,sans-serif"
CODES = {token: f"{i:x}" for i, token in enumerate(every_token())}


def svg(scene: Scene, theme: str = "auto") -> str:
    """The picture as a document of its own, or as a part of a page."""
    dark = theme == "dark"
    w, h = n(scene.width), n(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="specbuild-{theme}" role="img" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" style="max-width:100%;height:auto" font-family="{STACK}" font-size="10">',
        f"<title>{escape(shown(scene.title, 120))}</title>",
        f"<desc>{escape(shown(scene.described, 300))}</desc>",
        f"<style>{style(theme)}</style>",
        f'<rect width="{w}" height="{h}" {paint("fill", "page", dark)}/>',
    ]
    for group in scene.groups:
        lines.append(grouped(group, dark))
    return "\n".join([*lines, "</svg>"]) + "\n"


def grouped(group: Group, dark: bool) -> str:
    inside = "".join(shape(s, dark) for s in group.shapes)
    steps = f" data-steps={quoteattr(' '.join(group.steps))}" if group.steps else ""
    panel = f" data-panel={quoteattr(group.panel)}" if group.panel else ""
    told = f"<title>{escape(group.told)}</title>" if group.told else ""
    made = f'<g class="sb-{group.sort}"{panel}{steps}>{told}{inside}</g>'
    return f"<a href={quoteattr(group.url)}>{made}</a>" if group.url else made


def shape(item: Shape, dark: bool) -> str:
    if isinstance(item, Rect):
        line = f' {paint("stroke", item.line, dark)} stroke-width="{n(item.thick)}"' if item.line else ""
        fill = paint("fill", item.fill, dark) if item.fill else 'fill="none"'
        dash = ' stroke-dasharray="4 3"' if item.dash else ""
        radius = f' rx="{n(item.radius)}"' if item.radius else ""
        merged = merge(fill, line)
        return f'<rect x="{n(item.x)}" y="{n(item.y)}" width="{n(item.w)}" height="{n(item.h)}"{radius} {merged}{dash}/>'
    if isinstance(item, Text):
        bold = ' font-weight="700"' if item.bold else ""
        size = f' font-size="{n(item.size)}"' if item.size != 10 else ""
        middle = ' text-anchor="middle"' if item.middle else ""
        length = (
            f' textLength="{n(item.width)}" lengthAdjust="spacingAndGlyphs"' if len(item.text) > 1 else ""
        )
        return (
            f'<text x="{n(item.x)}" y="{n(item.y)}"{size}{bold}{middle}{length} {paint("fill", item.fill, dark)}>'
            f"{escape(item.text)}</text>"
        )
    return curve(item, dark)


def curve(item: Curve, dark: bool) -> str:
    points = item.points
    head = ""
    if item.arrow:
        base, corners = arrow(item)
        points = (*points[:-1], base)
        head = f'<path d="M{pair(corners[0])}L{pair(corners[1])}L{pair(corners[2])}Z" {paint("fill", item.line, dark)}/>'
    path = f"M{pair(points[0])}" + "".join(
        f"C{pair(a)} {pair(b)} {pair(c)}"
        for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True)
    )
    dash = ' stroke-dasharray="2 3"' if item.dash else ""
    line = f'<path d="{path}" fill="none" {paint("stroke", item.line, dark)} stroke-width="{n(item.thick)}"{dash}/>'
    return line + head


def arrow(item: Curve) -> tuple[tuple[float, float], tuple[tuple[float, float], ...]]:
    """Where the line ends, and the three corners of the head at its end."""
    tip = item.points[-1]
    before = next((p for p in reversed(item.points[:-1]) if distance(p, tip) > 0.5), item.points[0])
    back = towards(tip, before, 6.5)
    dx, dy = (back[1] - tip[1]) * 0.4, (tip[0] - back[0]) * 0.4
    base = towards(tip, before, 5)
    return base, (tip, (back[0] + dx, back[1] + dy), (back[0] - dx, back[1] - dy))


def paint(attribute: str, token: str, dark: bool) -> str:
    """The colour as an attribute that every viewer knows, and a class by which the dark theme changes it."""
    colour = tone(token).dark if dark else tone(token).light
    return f'class="{attribute[0]}{CODES[token]}" {attribute}="{colour}"'


def merge(fill: str, line: str) -> str:
    """Two classes in one attribute."""
    if not line or not fill.startswith("class="):
        return f"{fill}{line}"
    first, second = fill.split('"', 2), line.strip().split('"', 2)
    return f'class="{first[1]} {second[1]}"{first[2]}{second[2]}'


@cache
def style(theme: str) -> str:
    faces = "".join(
        f"@font-face{{font-family:'{FAMILY}';font-weight:{weight};src:url(data:font/woff2;base64,{font(name)})}}"
        for weight, name in ((400, "Regular"), (700, "Bold"))
    )
    hover = ".sb-link:hover path,.sb-leap:hover path{stroke-width:2.6}.sb-box:hover>rect:first-of-type{stroke-width:2}"
    if theme != "auto":
        return faces + hover
    return f"{faces}{hover}@media(prefers-color-scheme:dark){{{rules('dark')}}}"


@cache
def rules(theme: str, around: str = "") -> str:
    """What gives pictures that follow their reader the colours of a theme, inside of what a selector finds."""
    within = f"{around} .specbuild-auto".lstrip()
    found = [
        (code, tone(token).dark if theme == "dark" else tone(token).light) for token, code in CODES.items()
    ]
    return "".join(f"{within} .f{code}{{fill:{c}}}{within} .s{code}{{stroke:{c}}}" for code, c in found)


@cache
def font(name: str) -> str:
    return base64.b64encode((FONTS / f"Inter-{name}.woff2").read_bytes()).decode("ascii")


def n(value: float) -> str:
    return (
        f"{value:.1f}".rstrip("0").rstrip(".").replace("-0", "0")
        if abs(value) < 0.05
        else f"{value:.1f}".rstrip("0").rstrip(".")
    )


def pair(p: tuple[float, float]) -> str:
    return f"{n(p[0])} {n(p[1])}"

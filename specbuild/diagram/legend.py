"""The legend: the meaning of the colours and signs that a diagram has."""

from __future__ import annotations

from typing import NamedTuple

from specbuild.diagram.captions import FREE_SIZE_STAR, FREE_SIZES_KEY
from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.palette import FAMILIES, FILLS
from specbuild.diagram.scene import (
    Curve,
    Rect,
    Scene,
    Shape,
    ShapeGroup,
    TextLine,
    shift_shape,
    straight_path,
)
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import View


class LegendEntry(NamedTuple):
    """A small picture at (0, 0) with its width, and a text."""

    shapes: list[Shape]
    width: float
    text: str
    kind: str = ""  # the kind of op, if the entry is one


def add_legend(page: Scene, view: View, top: float, limit: float) -> float:
    """Add the legend of a view, in rows up to `limit` wide. Returns its height."""
    x, y = 0.0, top + 12
    for entry in [*kind_entries(view), *sign_entries(view, page)]:
        label = TextLine(entry.width + 5, 0, entry.text, 10, False, "soft")
        width = label.x + label.width
        if x and x + width > limit:
            x, y = 0.0, y + 19
        shapes = tuple(shift_shape(shape, x, y) for shape in [*entry.shapes, label])
        page.groups.append(ShapeGroup(shapes, "legend", panel=entry.kind))
        x += width + 18
    if view.omitted_blocks:
        names = ", ".join(view.omitted_blocks[:8]) + (" …" if len(view.omitted_blocks) > 8 else "")
        text = f"Not shown in detail: {display_text(names, 140)} (--depth, --open)"
        y += 19
        for i, line in enumerate(fill_lines(text, limit)):
            y += 13 * bool(i)
            page.groups.append(ShapeGroup((TextLine(0, y, line, 10, False, "mute"),), "note"))
    return y - top


def fill_lines(text: str, limit: float) -> list[str]:
    """Break a text between words into lines up to `limit` wide."""
    lines: list[str] = []
    for word in text.split():
        if lines and measure_text(f"{lines[-1]} {word}", 10) <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def kind_entries(view: View) -> list[LegendEntry]:
    """Return the colours of the kinds of op."""
    if view.is_diff:
        return []
    families = view.op_families()
    entries = []
    for kind in FILLS:
        if kind in families and kind != "block":
            text = ", ".join([FAMILIES[f][1] for f in families[kind] if f in FAMILIES] or [kind])
            swatch = Rect(0, -9.5, 12, 12, f"fill:{kind}", f"line:{kind}", 3.5, 1.2)
            entries.append(LegendEntry([swatch], 12, text[0].upper() + text[1:], kind))
    return entries


def sign_entries(view: View, page: Scene) -> list[LegendEntry]:
    """Return the meaning of signs, lines and abbreviations."""
    boxes = list(view.all_boxes())
    entries = diff_entries(view) if view.is_diff else []
    if any(box.repeat_count for box in boxes):
        badge: list[Shape] = [
            Rect(0, -10.5, 20, 14, "badge", "", 4),
            TextLine(4, 0, "×N", 9, True, "badge_ink"),
        ]
        entries.append(LegendEntry(badge, 20, "repeated, each with its own weights"))
    if any(box.macs_by_kind and box.kind == "block" and box.macs for box in boxes):
        bar: list[Shape] = [
            Rect(0, -6, 30, 4, "track"),
            Rect(0, -6, 9, 4, "line:convolution"),
            Rect(9, -6, 6, 4, "line:linear"),
        ]
        entries.append(LegendEntry(bar, 30, "share of the panel's multiply-adds, by kind"))
    if any(group.role == "leap" for group in page.groups) and not view.is_diff:
        line = Curve(straight_path([(0, -4), (22, -4)]), "line:fusion", 1.5)
        entries.append(LegendEntry([line], 22, "skip connection"))
    if any(group.role == "size" for group in page.groups):
        dotted = Curve(straight_path([(0, -4), (22, -4)]), "edge", 1.0, is_dashed=True)
        entries.append(LegendEntry([dotted], 22, "gives only its size"))
    if view.has_free_sizes():
        star = TextLine(0, 0, FREE_SIZE_STAR, 10, False, "soft")
        entries.append(LegendEntry([star], star.width, FREE_SIZES_KEY.removeprefix(f"{FREE_SIZE_STAR} ")))
    if any(box.condition is not None for box in boxes) and not view.is_diff:
        frame = Rect(0, -9.5, 30, 12, "page", "mute", 3.5, 1.2, True)
        entries.append(LegendEntry([frame], 30, "not in every instance"))
    if any(box.weights_of for box in boxes):
        frame = Rect(0, -9.5, 22, 12, "page", "shared", 3.5, 1)
        entries.append(LegendEntry([frame], 22, "shared weights"))
    if any(box.macs and box.form == "card" for box in boxes):
        word = TextLine(0, 0, "MACs", 8, False, "mute")
        entries.append(LegendEntry([word], word.width, "multiply-adds"))
    return entries


def diff_entries(view: View) -> list[LegendEntry]:
    """Return the types of change in a diagram of two models."""
    changes = {box.change for box in view.all_boxes()}
    entries: list[LegendEntry] = []
    for change in CHANGE_SIGNS:
        if change in changes:
            line, is_filled = f"mark:{change}", change != "inside"
            stroke_width, is_dashed = CHANGE_LINES[change]
            swatch: list[Shape] = [
                Rect(0, -10.5, 24, 14, f"wash:{change}", line, 4, stroke_width, is_dashed),
                Rect(6, -9, 12, 11, line if is_filled else "page", line, 3, 1),
                TextLine(12, -0.2, CHANGE_SIGNS[change], 10, True, "page" if is_filled else line, True),
            ]
            entries.append(LegendEntry(swatch, 24, CHANGE_LABELS[change]))
    if "" in changes:
        frame = Rect(0, -10.5, 24, 14, "page", "edge", 4, CHANGE_LINES[""][0])
        entries.append(LegendEntry([frame], 24, "unchanged"))
    link_changes = {link.change for panel in view.panels for link in panel.links}
    for change in ("removed", "added"):
        if change in link_changes:
            stroke_width, is_dashed = CHANGE_LINES[change]
            path = straight_path([(0, -4), (24, -4)])
            sign = Curve(path, f"mark:{change}", stroke_width, is_dashed=is_dashed)
            entries.append(LegendEntry([sign], 24, f"connection {change}"))
    return entries

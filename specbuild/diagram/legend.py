"""What colours and signs mean; only those that are seen."""

from __future__ import annotations

from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.palette import FAMILIES, FILLS
from specbuild.diagram.scene import Curve, Rect, Scene, Shape, ShapeGroup, Text, shift_shape, straight_path
from specbuild.diagram.text_metrics import display_text, text_width
from specbuild.diagram.view_model import View


def add_legend(page: Scene, view: View, top: float, limit: float) -> float:
    """What the colours and signs mean; only those that are seen. How high it is."""
    families = {} if view.is_diff else view.op_families()
    entries: list[tuple[list[Shape], float, str]] = []
    for kind in FILLS:
        if kind in families and kind != "block":
            words = [FAMILIES[f][1] for f in families[kind] if f in FAMILIES] or [kind]
            text = ", ".join(words)
            text = text[0].upper() + text[1:]
            swatch: list[Shape] = [
                Rect(0, -9.5, 12, 12, f"fill:{kind}", f"line:{kind}", 3.5, 1.2),
                Text(17, 0, text, 10, False, "soft"),
            ]
            entries.append((swatch, 17 + text_width(text, 10), kind))
    for sign, w, text in sign_entries(view, page):
        entries.append(([*sign, Text(w + 5, 0, text, 10, False, "soft")], w + 5 + text_width(text, 10), ""))
    x, y = 0.0, top + 12
    for shapes, w, kind in entries:
        if x and x + w > limit:
            x, y = 0.0, y + 19
        page.groups.append(ShapeGroup(tuple(shift_shape(s, x, y) for s in shapes), "legend", panel=kind))
        x += w + 18
    if view.omitted_blocks:
        names = ", ".join(view.omitted_blocks[:8]) + (" …" if len(view.omitted_blocks) > 8 else "")
        y += 19
        note = Text(0, y, f"Not opened here: {display_text(names, 140)} (--depth, --open)", 10, False, "mute")
        page.groups.append(ShapeGroup((note,), "note"))
    return y - top


def sign_entries(view: View, page: Scene) -> list[tuple[list[Shape], float, str]]:
    boxes = list(view.all_boxes())
    entries: list[tuple[list[Shape], float, str]] = []
    if view.is_diff:
        entries += diff_entries(view)
    if any(b.repeat_count for b in boxes):
        entries.append(
            (
                [Rect(0, -10.5, 20, 14, "badge", "", 4), Text(4, 0, "×N", 8, True, "badge_ink")],
                20,
                "repeated, each with its own weights",
            )
        )
    if any(b.macs_by_kind and b.kind == "block" and b.macs for b in boxes):
        entries.append(
            (
                [
                    Rect(0, -6, 30, 4, "track"),
                    Rect(0, -6, 9, 4, "line:convolution"),
                    Rect(9, -6, 6, 4, "line:linear"),
                ],
                30,
                "share of the panel's multiply-adds, by kind",
            )
        )
    if any(g.role == "leap" for g in page.groups) and not view.is_diff:
        line = Curve(straight_path([(0, -4), (22, -4)]), "line:fusion", 1.5)
        entries.append(([line], 22, "passes by other steps"))
    if any(b.condition is not None for b in boxes) and not view.is_diff:
        entries.append(([Rect(0, -9.5, 22, 12, "page", "mute", 3.5, 1.2, True)], 22, "not in every instance"))
    if any(b.weights_of for b in boxes):
        entries.append(
            ([Rect(0, -9.5, 22, 12, "page", "shared", 3.5, 1)], 22, "the same weights, used again")
        )
    if any(b.macs and b.form == "card" for b in boxes):
        entries.append(([Text(0, 0, "MACs", 8, False, "mute")], text_width("MACs", 8), "multiply-adds"))
    return entries


def diff_entries(view: View) -> list[tuple[list[Shape], float, str]]:
    """What the marks of a picture of two models mean."""
    changes = {box.change for box in view.all_boxes()}
    entries: list[tuple[list[Shape], float, str]] = []
    for change in CHANGE_SIGNS:
        if change in changes:
            line, full = f"mark:{change}", change != "inside"
            thick, dash = CHANGE_LINES[change]
            swatch: list[Shape] = [
                Rect(0, -10.5, 24, 14, f"wash:{change}", line, 4, thick, dash),
                Rect(6, -9, 12, 11, line if full else "page", line, 3, 1),
                Text(12, -0.2, CHANGE_SIGNS[change], 10, True, "page" if full else line, True),
            ]
            entries.append((swatch, 24, CHANGE_LABELS[change]))
    if "" in changes:
        entries.append(([Rect(0, -10.5, 24, 14, "page", "edge", 4, CHANGE_LINES[""][0])], 24, "as it was"))
    links = {link.change for panel in view.panels for link in panel.links}
    for change in ("removed", "added"):
        if change in links:
            thick, dash = CHANGE_LINES[change]
            sign = Curve(straight_path([(0, -4), (24, -4)]), f"mark:{change}", thick, is_dashed=dash)
            entries.append(([sign], 24, f"connection {change}"))
    return entries

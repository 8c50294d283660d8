"""What colours and signs mean; only those that are seen."""

from __future__ import annotations

from specbuild.diagram.diff_marks import LINES, SIGNS, WORDS
from specbuild.diagram.palette import FAMILIES, FILLS
from specbuild.diagram.scene import Curve, Group, Rect, Scene, Shape, Text, shift, straight
from specbuild.diagram.text_metrics import shown, width
from specbuild.diagram.view import View


def legend(page: Scene, view: View, top: float, limit: float) -> float:
    """What the colours and signs mean; only those that are seen. How high it is."""
    families = {} if view.compared else view.families()
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
            entries.append((swatch, 17 + width(text, 10), kind))
    for sign, w, text in signs(view, page):
        entries.append(([*sign, Text(w + 5, 0, text, 10, False, "soft")], w + 5 + width(text, 10), ""))
    x, y = 0.0, top + 12
    for shapes, w, kind in entries:
        if x and x + w > limit:
            x, y = 0.0, y + 19
        page.groups.append(Group(tuple(shift(s, x, y) for s in shapes), "legend", panel=kind))
        x += w + 18
    if view.left_out:
        names = ", ".join(view.left_out[:8]) + (" …" if len(view.left_out) > 8 else "")
        y += 19
        note = Text(0, y, f"Not opened here: {shown(names, 140)} (--depth, --open)", 10, False, "mute")
        page.groups.append(Group((note,), "note"))
    return y - top


def signs(view: View, page: Scene) -> list[tuple[list[Shape], float, str]]:
    boxes = list(view.boxes())
    found: list[tuple[list[Shape], float, str]] = []
    if view.compared:
        found += compared(view)
    if any(b.times for b in boxes):
        found.append(
            (
                [Rect(0, -10.5, 20, 14, "badge", "", 4), Text(4, 0, "×N", 8, True, "badge_ink")],
                20,
                "repeated, each with its own weights",
            )
        )
    if any(b.mix and b.kind == "block" and b.macs for b in boxes):
        found.append(
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
    if any(g.sort == "leap" for g in page.groups) and not view.compared:
        line = Curve(straight([(0, -4), (22, -4)]), "line:fusion", 1.5)
        found.append(([line], 22, "passes by other steps"))
    if any(b.condition is not None for b in boxes) and not view.compared:
        found.append(([Rect(0, -9.5, 22, 12, "page", "mute", 3.5, 1.2, True)], 22, "not in every instance"))
    if any(b.shares for b in boxes):
        found.append(([Rect(0, -9.5, 22, 12, "page", "shared", 3.5, 1)], 22, "the same weights, used again"))
    if any(b.macs and b.form == "card" for b in boxes):
        found.append(([Text(0, 0, "MACs", 8, False, "mute")], width("MACs", 8), "multiply-adds"))
    return found


def compared(view: View) -> list[tuple[list[Shape], float, str]]:
    """What the marks of a picture of two models mean."""
    marks = {box.mark for box in view.boxes()}
    found: list[tuple[list[Shape], float, str]] = []
    for sort in SIGNS:
        if sort in marks:
            line, full = f"mark:{sort}", sort != "inside"
            thick, dash = LINES[sort]
            swatch: list[Shape] = [
                Rect(0, -10.5, 24, 14, f"wash:{sort}", line, 4, thick, dash),
                Rect(6, -9, 12, 11, line if full else "page", line, 3, 1),
                Text(12, -0.2, SIGNS[sort], 10, True, "page" if full else line, True),
            ]
            found.append((swatch, 24, WORDS[sort]))
    if "" in marks:
        found.append(([Rect(0, -10.5, 24, 14, "page", "edge", 4, LINES[""][0])], 24, "as it was"))
    links = {link.mark for panel in view.panels for link in panel.links}
    for sort in ("removed", "added"):
        if sort in links:
            thick, dash = LINES[sort]
            sign = Curve(straight([(0, -4), (24, -4)]), f"mark:{sort}", thick, dash=dash)
            found.append(([sign], 24, f"connection {sort}"))
    return found

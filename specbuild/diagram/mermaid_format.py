"""A view as Mermaid, which GitHub and GitLab render in Markdown."""

from __future__ import annotations

from specbuild.diagram.diff_marks import CHANGE_LINES
from specbuild.diagram.dot_format import box_rows
from specbuild.diagram.palette import FILLS, find_colour
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import Box, Panel, View

ARROWS = {"added": "==>", "removed": "-.->"}


def render_mermaid(view: View, direction: str = "LR", theme: str = "light") -> str:
    """Return the text of a Mermaid flowchart."""
    signs = view.sign_key()
    title = f"{display_text(view.title, 90)} ({signs})" if signs else display_text(view.title, 120)
    lines = ["---", f"title: {quote_title(title)}", "---", f"flowchart {direction}"]
    for i, panel in enumerate(view.panels):
        if i:
            lines.append(f'  subgraph {panel.key}["{escape_mermaid(panel.title)}"]')
            lines.append(f"    direction {direction}")
        indent = "    " if i else "  "
        lines += [indent + node_line(panel, box, view.is_diff) for box in panel.boxes]
        for link in panel.links:
            label = f'|"{escape_mermaid(link.label)}"|' if link.label else ""
            arrow = ARROWS.get(link.change, "-->")
            lines.append(f"{indent}{panel.key}_{link.tail} {arrow}{label} {panel.key}_{link.head}")
        if i:
            lines.append("  end")
    return "\n".join([*lines, *class_definitions(view, theme == "dark")]) + "\n"


def class_definitions(view: View, is_dark: bool) -> list[str]:
    """Return a line for the colours of each class of boxes in the view."""
    used = {node_class(box, view.is_diff) for box in view.all_boxes()}
    ink = find_colour("ink", is_dark)
    lines = []
    for name in [*FILLS, "port"]:
        if name in used:
            tokens = ("port", "frame") if name == "port" else (f"fill:{name}", f"line:{name}")
            fill, line = (find_colour(token, is_dark) for token in tokens)
            lines.append(f"  classDef {name} fill:{fill},stroke:{line},color:{ink}")
    for change, (stroke_width, is_dashed) in CHANGE_LINES.items():
        if (change or "same") in used:
            tokens = (f"wash:{change}", f"mark:{change}") if change else ("page", "edge")
            fill, line = (find_colour(token, is_dark) for token in tokens)
            dash = ",stroke-dasharray:5 3" if is_dashed else ""
            style = f"fill:{fill},stroke:{line},color:{ink},stroke-width:{stroke_width:g}px{dash}"
            lines.append(f"  classDef {change or 'same'} {style}")
    return lines


def node_line(panel: Panel, box: Box, is_diff: bool = False) -> str:
    """Return a box as a Mermaid node, with its class."""
    label = "<br/>".join(escape_mermaid(row) for row in box_rows(box) if row)
    left, right = {"symbol": ("((", "))"), "card": ("(", ")")}.get(box.form, ("([", "])"))
    if box.form == "card" and box.repeat_count:
        left, right = "[[", "]]"
    return f'{panel.key}_{box.key}{left}"{label}"{right}:::{node_class(box, is_diff)}'


def node_class(box: Box, is_diff: bool) -> str:
    """Return the class of a box: its kind, or in a diagram of two models its change."""
    if is_diff and (box.change or box.form in ("card", "symbol")):
        return box.change or "same"
    return box.kind if box.kind in FILLS else "port"


def escape_mermaid(value: str) -> str:
    """Return text between quotes: a character with a meaning in Mermaid, Markdown or HTML becomes its code."""
    return "".join(
        c if c.isalnum() or c in " .,·×→−÷σ…–/()_=+" else f"#{ord(c)};" for c in display_text(value, 200)
    )


def quote_title(value: str) -> str:
    """Return a quoted text for the front matter, which is YAML."""
    return '"' + "".join(c for c in display_text(value, 200) if c not in '"\\') + '"'

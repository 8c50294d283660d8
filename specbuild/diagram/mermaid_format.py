"""A view as Mermaid, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

from specbuild.diagram.diff_marks import CHANGE_LINES
from specbuild.diagram.dot_format import box_rows
from specbuild.diagram.palette import FILLS, find_tone
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import Box, Panel, View

ARROWS = {"added": "==>", "removed": "-.->"}


def render_mermaid(view: View, direction: str = "LR", theme: str = "light") -> str:
    """The text of a Mermaid flowchart."""
    signs = view.change_key()
    title = f"{display_text(view.title, 90)} ({signs})" if signs else display_text(view.title, 120)
    lines = ["---", f"title: {quote_title(title)}", "---", f"flowchart {direction}"]
    for i, panel in enumerate(view.panels):
        if i:
            lines.append(f'  subgraph {panel.key}["{escape_text(panel.title)}"]')
            lines.append(f"    direction {direction}")
        indent = "    " if i else "  "
        lines += [indent + node_line(panel, item, view.is_diff) for item in panel.boxes]
        for link in panel.links:
            label = f'|"{escape_text(link.label)}"|' if link.label else ""
            arrow = ARROWS.get(link.change, "-->")
            lines.append(f"{indent}{panel.key}_{link.tail} {arrow}{label} {panel.key}_{link.head}")
        if i:
            lines.append("  end")
    used = {node_class(b, view.is_diff) for b in view.all_boxes()}

    def token_colour(token: str) -> str:
        return find_tone(token).dark if theme == "dark" else find_tone(token).light

    for name in [*FILLS, "port"]:
        if name in used:
            fill, line = ("port", "frame") if name == "port" else (f"fill:{name}", f"line:{name}")
            lines.append(
                f"  classDef {name} fill:{token_colour(fill)},stroke:{token_colour(line)},color:{token_colour('ink')}"
            )
    for sort, (thick, dash) in CHANGE_LINES.items():
        if (sort or "same") in used:
            fill, line = (f"wash:{sort}", f"mark:{sort}") if sort else ("page", "edge")
            look = f"fill:{token_colour(fill)},stroke:{token_colour(line)},color:{token_colour('ink')},stroke-width:{thick:g}px"
            lines.append(f"  classDef {sort or 'same'} {look}{',stroke-dasharray:5 3' if dash else ''}")
    return "\n".join(lines) + "\n"


def node_line(panel: Panel, item: Box, is_diff: bool = False) -> str:
    label = "<br/>".join(escape_text(row) for row in box_rows(item) if row)
    left, right = {"symbol": ("((", "))"), "card": ("(", ")")}.get(item.form, ("([", "])"))
    if item.form == "card" and item.repeat_count:
        left, right = "[[", "]]"
    return f'{panel.key}_{item.key}{left}"{label}"{right}:::{node_class(item, is_diff)}'


def node_class(item: Box, is_diff: bool) -> str:
    """The class of a box: the kind of what it does, or in a picture of two models what became of it."""
    if is_diff and (item.change or item.form in ("card", "symbol")):
        return item.change or "same"
    return item.kind if item.kind in FILLS else "port"


def escape_text(value: str) -> str:
    """Text between quotes: every character that Mermaid, Markdown or HTML could read is its number."""
    return "".join(
        c if c.isalnum() or c in " .,·×→−÷σ…–/()_=+" else f"#{ord(c)};" for c in display_text(value, 200)
    )


def quote_title(value: str) -> str:
    """Text in the front matter, which is YAML."""
    return '"' + "".join(c for c in display_text(value, 200) if c not in '"\\') + '"'

"""A view as Mermaid, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

from specbuild.diagram.diff_marks import LINES
from specbuild.diagram.dot_format import rows
from specbuild.diagram.palette import FILLS, tone
from specbuild.diagram.text_metrics import shown
from specbuild.diagram.view import Box, Panel, View

ARROWS = {"added": "==>", "removed": "-.->"}


def mermaid(view: View, direction: str = "LR", theme: str = "light") -> str:
    """The text of a Mermaid flowchart."""
    signs = view.signs()
    named = f"{shown(view.title, 90)} ({signs})" if signs else shown(view.title, 120)
    lines = ["---", f"title: {title(named)}", "---", f"flowchart {direction}"]
    for i, panel in enumerate(view.panels):
        if i:
            lines.append(f'  subgraph {panel.key}["{text(panel.title)}"]')
            lines.append(f"    direction {direction}")
        indent = "    " if i else "  "
        lines += [indent + box(panel, item, view.compared) for item in panel.boxes]
        for link in panel.links:
            label = f'|"{text(link.label)}"|' if link.label else ""
            arrow = ARROWS.get(link.mark, "-->")
            lines.append(f"{indent}{panel.key}_{link.tail} {arrow}{label} {panel.key}_{link.head}")
        if i:
            lines.append("  end")
    used = {kind(b, view.compared) for b in view.boxes()}

    def colour(token: str) -> str:
        return tone(token).dark if theme == "dark" else tone(token).light

    for name in [*FILLS, "port"]:
        if name in used:
            fill, line = ("port", "frame") if name == "port" else (f"fill:{name}", f"line:{name}")
            lines.append(f"  classDef {name} fill:{colour(fill)},stroke:{colour(line)},color:{colour('ink')}")
    for sort, (thick, dash) in LINES.items():
        if (sort or "same") in used:
            fill, line = (f"wash:{sort}", f"mark:{sort}") if sort else ("page", "edge")
            look = f"fill:{colour(fill)},stroke:{colour(line)},color:{colour('ink')},stroke-width:{thick:g}px"
            lines.append(f"  classDef {sort or 'same'} {look}{',stroke-dasharray:5 3' if dash else ''}")
    return "\n".join(lines) + "\n"


def box(panel: Panel, item: Box, compared: bool = False) -> str:
    told = "<br/>".join(text(row) for row in rows(item) if row)
    left, right = {"symbol": ("((", "))"), "card": ("(", ")")}.get(item.form, ("([", "])"))
    if item.form == "card" and item.times:
        left, right = "[[", "]]"
    return f'{panel.key}_{item.key}{left}"{told}"{right}:::{kind(item, compared)}'


def kind(item: Box, compared: bool) -> str:
    """The class of a box: the kind of what it does, or in a picture of two models what became of it."""
    if compared and (item.mark or item.form in ("card", "symbol")):
        return item.mark or "same"
    return item.kind if item.kind in FILLS else "port"


def text(value: str) -> str:
    """Text between quotes: every character that Mermaid, Markdown or HTML could read is its number."""
    return "".join(c if c.isalnum() or c in " .,·×→−÷σ…–/()_=+" else f"#{ord(c)};" for c in shown(value, 200))


def title(value: str) -> str:
    """Text in the front matter, which is YAML."""
    return '"' + "".join(c for c in shown(value, 200) if c not in '"\\') + '"'

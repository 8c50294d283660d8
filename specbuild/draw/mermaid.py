"""A view as Mermaid, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

from specbuild.draw.dot import rows
from specbuild.draw.metrics import shown
from specbuild.draw.palette import FILLS, tone
from specbuild.draw.view import Box, Panel, View


def mermaid(view: View, direction: str = "LR", theme: str = "light") -> str:
    """The text of a Mermaid flowchart."""
    lines = ["---", f"title: {title(view.title)}", "---", f"flowchart {direction}"]
    for i, panel in enumerate(view.panels):
        if i:
            lines.append(f'  subgraph {panel.key}["{text(panel.title)}"]')
            lines.append(f"    direction {direction}")
        indent = "    " if i else "  "
        lines += [indent + box(panel, item) for item in panel.boxes]
        for link in panel.links:
            label = f'|"{text(link.label)}"|' if link.label else ""
            lines.append(f"{indent}{panel.key}_{link.tail} -->{label} {panel.key}_{link.head}")
        if i:
            lines.append("  end")
    used = {b.kind if b.kind in FILLS else "port" for b in view.boxes()}

    def colour(token: str) -> str:
        return tone(token).dark if theme == "dark" else tone(token).light

    for kind in [*FILLS, "port"]:
        if kind in used:
            fill, line = ("port", "frame") if kind == "port" else (f"fill:{kind}", f"line:{kind}")
            lines.append(f"  classDef {kind} fill:{colour(fill)},stroke:{colour(line)},color:{colour('ink')}")
    return "\n".join(lines) + "\n"


def box(panel: Panel, item: Box) -> str:
    told = "<br/>".join(text(row) for row in rows(item) if row)
    left, right = {"symbol": ("((", "))"), "card": ("(", ")")}.get(item.form, ("([", "])"))
    if item.form == "card" and item.times:
        left, right = "[[", "]]"
    kind = item.kind if item.kind in FILLS else "port"
    return f'{panel.key}_{item.key}{left}"{told}"{right}:::{kind}'


def text(value: str) -> str:
    """Text between quotes: every character that Mermaid, Markdown or HTML could read is its number."""
    return "".join(c if c.isalnum() or c in " .,·×→−÷σ…–/()_=+" else f"#{ord(c)};" for c in shown(value, 200))


def title(value: str) -> str:
    """Text in the front matter, which is YAML."""
    return '"' + "".join(c for c in shown(value, 120) if c not in '"\\') + '"'

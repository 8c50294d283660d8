"""A view as portable DOT: a cluster for each panel, no positions; any Graphviz draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specbuild.diagram.box_shapes import costs
from specbuild.diagram.captions import flat
from specbuild.diagram.diff_marks import LINES, SIGNS
from specbuild.diagram.palette import tone
from specbuild.diagram.text_metrics import shown
from specbuild.diagram.view import Box, Link, Panel, View


def dot(view: View, direction: str = "LR", theme: str = "light") -> str:
    """The text of a DOT file."""
    from graphviz import Digraph, nohtml  # only here: most commands draw nothing

    def text(*rows: str) -> Any:
        """Rows of text that Graphviz takes as they are: no HTML, no escapes, no entities."""
        return nohtml("\\n".join(plain(row) for row in rows if row))

    def colour(token: str) -> str:
        return tone(token).dark if theme == "dark" else tone(token).light

    graph = Digraph(comment=None)
    graph.attr(
        "graph",
        rankdir=direction,
        label=text(view.title, view.subtitle, view.signs()),
        labelloc="t",
        fontname="Helvetica",
        fontcolor=colour("ink"),
        bgcolor=colour("page"),
        compound="true",
    )
    graph.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fontname="Helvetica",
        fontsize="10",
        fontcolor=colour("ink"),
    )
    graph.attr("edge", fontname="Helvetica", fontsize="8", color=colour("edge"), fontcolor=colour("mute"))

    def box(into: Digraph, panel: Panel, item: Box) -> None:
        style = "rounded,filled" + (",dashed" if item.condition is not None else "")
        marks = {"shape": "box", "style": style, "fillcolor": colour("port"), "color": colour("frame")}
        if item.form in ("card", "symbol"):
            marks |= {"fillcolor": colour(f"fill:{item.kind}"), "color": colour(f"line:{item.kind}")}
        if view.compared:
            marks |= compared(item, colour)
        if item.form == "symbol":
            marks["shape"] = "circle"
            marks["style"] = "filled" + (",dashed" if "dashed" in marks["style"] else "")
        if item.times:
            marks["peripheries"] = "2"
        into.node(
            f"{panel.key}_{item.key}",
            text(*rows(item)),
            tooltip=text(" ".join(item.steps) or item.title),
            **marks,
        )

    def contents(into: Digraph, panel: Panel) -> None:
        for item in panel.boxes:
            box(into, panel, item)
        for link in panel.links:
            into.edge(
                f"{panel.key}_{link.tail}",
                f"{panel.key}_{link.head}",
                label=text(link.label) if link.label else None,
                **connected(link, colour),
            )

    for i, panel in enumerate(view.panels):
        if i == 0:
            contents(graph, panel)
            continue
        with graph.subgraph(name=f"cluster_{panel.key}") as cluster:
            cluster.attr(
                "graph",
                label=text(panel.title),
                style="rounded,filled",
                fillcolor=colour("panel"),
                color=colour("frame"),
            )
            contents(cluster, panel)
    return str(graph.source)


def compared(item: Box, colour: Callable[[str], str]) -> dict[str, str]:
    """How a box of a picture of two models looks."""
    thick, dash = LINES[item.mark]
    style = "rounded,filled" + (",dashed" if dash else "")
    if not item.mark:
        ends = {} if item.form in ("input", "output", "port") else {"fillcolor": colour("page")}
        return {"style": style, "color": colour("edge"), **ends}
    fill, line = colour(f"wash:{item.mark}"), colour(f"mark:{item.mark}")
    return {"style": style, "fillcolor": fill, "color": line, "penwidth": f"{thick:g}"}


def connected(link: Link, colour: Callable[[str], str]) -> dict[str, str]:
    """How a connection that came or went looks."""
    if not link.mark:
        return {}
    thick, dash = LINES[link.mark]
    look = {"color": colour(f"mark:{link.mark}"), "penwidth": f"{thick:g}"}
    return {**look, "style": "dashed"} if dash else look


def plain(text: str) -> str:
    return shown(text, 200).replace("&", "&amp;").replace("\\", "\\\\")


def rows(box: Box) -> list[str]:
    """What a box says, line by line."""
    title = f"{SIGNS[box.mark]} {box.title}" if box.mark else box.title
    found = [f"{title} ×{box.times}" if box.times else title]
    if box.form == "symbol":
        return [*found, box.name]
    found += [box.detail, *box.notes]
    if box.chips:
        found.append(" · ".join(chip.text for chip in box.chips))
    if box.shares:
        found.append(f"shares {box.shares}")
    if box.condition is not None:
        found.append(f"if {box.condition}")
    found.append(flat(box.sizes))
    found.append(" · ".join(costs(box)))
    return found

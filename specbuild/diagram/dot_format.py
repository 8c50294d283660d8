"""A view as portable DOT: a cluster for each panel, no positions; any Graphviz draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specbuild.diagram.box_shapes import cost_labels
from specbuild.diagram.captions import format_axes
from specbuild.diagram.diff_marks import CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.palette import find_tone
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import Box, Link, Panel, View


def render_dot(view: View, direction: str = "LR", theme: str = "light") -> str:
    """The text of a DOT file."""
    from graphviz import Digraph, nohtml  # only here: most commands draw nothing

    def escape_rows(*rows: str) -> Any:
        """Rows of text that Graphviz takes as they are: no HTML, no escapes, no entities."""
        return nohtml("\\n".join(escape_label(row) for row in rows if row))

    def token_colour(token: str) -> str:
        return find_tone(token).dark if theme == "dark" else find_tone(token).light

    graph = Digraph(comment=None)
    graph.attr(
        "graph",
        rankdir=direction,
        label=escape_rows(view.title, view.subtitle, view.change_key()),
        labelloc="t",
        fontname="Helvetica",
        fontcolor=token_colour("ink"),
        bgcolor=token_colour("page"),
        compound="true",
    )
    graph.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fontname="Helvetica",
        fontsize="10",
        fontcolor=token_colour("ink"),
    )
    graph.attr(
        "edge", fontname="Helvetica", fontsize="8", color=token_colour("edge"), fontcolor=token_colour("mute")
    )

    def add_node(into: Digraph, panel: Panel, item: Box) -> None:
        style = "rounded,filled" + (",dashed" if item.condition is not None else "")
        attributes = {
            "shape": "box",
            "style": style,
            "fillcolor": token_colour("port"),
            "color": token_colour("frame"),
        }
        if item.form in ("card", "symbol"):
            attributes |= {
                "fillcolor": token_colour(f"fill:{item.kind}"),
                "color": token_colour(f"line:{item.kind}"),
            }
        if view.is_diff:
            attributes |= diff_box_style(item, token_colour)
        if item.form == "symbol":
            attributes["shape"] = "circle"
            attributes["style"] = "filled" + (",dashed" if "dashed" in attributes["style"] else "")
        if item.repeat_count:
            attributes["peripheries"] = "2"
        into.node(
            f"{panel.key}_{item.key}",
            escape_rows(*box_rows(item)),
            tooltip=escape_rows(" ".join(item.steps) or item.title),
            **attributes,
        )

    def add_contents(into: Digraph, panel: Panel) -> None:
        for item in panel.boxes:
            add_node(into, panel, item)
        for link in panel.links:
            into.edge(
                f"{panel.key}_{link.tail}",
                f"{panel.key}_{link.head}",
                label=escape_rows(link.label) if link.label else None,
                **diff_link_style(link, token_colour),
            )

    for i, panel in enumerate(view.panels):
        if i == 0:
            add_contents(graph, panel)
            continue
        with graph.subgraph(name=f"cluster_{panel.key}") as cluster:
            cluster.attr(
                "graph",
                label=escape_rows(panel.title),
                style="rounded,filled",
                fillcolor=token_colour("panel"),
                color=token_colour("frame"),
            )
            add_contents(cluster, panel)
    return str(graph.source)


def diff_box_style(item: Box, colour: Callable[[str], str]) -> dict[str, str]:
    """How a box of a picture of two models looks."""
    thick, dash = CHANGE_LINES[item.change]
    style = "rounded,filled" + (",dashed" if dash else "")
    if not item.change:
        ends = {} if item.form in ("input", "output", "port") else {"fillcolor": colour("page")}
        return {"style": style, "color": colour("edge"), **ends}
    fill, line = colour(f"wash:{item.change}"), colour(f"mark:{item.change}")
    return {"style": style, "fillcolor": fill, "color": line, "penwidth": f"{thick:g}"}


def diff_link_style(link: Link, colour: Callable[[str], str]) -> dict[str, str]:
    """How a connection that came or went looks."""
    if not link.change:
        return {}
    thick, dash = CHANGE_LINES[link.change]
    attributes = {"color": colour(f"mark:{link.change}"), "penwidth": f"{thick:g}"}
    return {**attributes, "style": "dashed"} if dash else attributes


def escape_label(text: str) -> str:
    return display_text(text, 200).replace("&", "&amp;").replace("\\", "\\\\")


def box_rows(box: Box) -> list[str]:
    """What a box says, line by line."""
    title = f"{CHANGE_SIGNS[box.change]} {box.title}" if box.change else box.title
    rows = [f"{title} ×{box.repeat_count}" if box.repeat_count else title]
    if box.form == "symbol":
        return [*rows, box.name]
    rows += [box.detail, *box.notes]
    if box.chips:
        rows.append(" · ".join(chip.text for chip in box.chips))
    if box.weights_of:
        rows.append(f"shares {box.weights_of}")
    if box.condition is not None:
        rows.append(f"if {box.condition}")
    rows.append(format_axes(box.sizes))
    rows.append(" · ".join(cost_labels(box)))
    return rows

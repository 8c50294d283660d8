"""A view as portable DOT: a cluster for each panel, no positions. Any Graphviz lays it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specbuild.diagram.captions import format_axes
from specbuild.diagram.card_rows import cost_labels
from specbuild.diagram.diff_marks import CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.palette import find_colour
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import Box, Link, Panel, View

if TYPE_CHECKING:
    from graphviz import Digraph


def render_dot(view: View, direction: str = "LR", theme: str = "light") -> str:
    """Return the text of a DOT file."""
    from graphviz import Digraph  # imported late: most commands draw nothing

    is_dark = theme == "dark"
    graph = Digraph(comment=None)
    set_defaults(graph, view, direction, is_dark)
    main, *others = view.panels
    add_contents(graph, main, view.is_diff, is_dark)
    for panel in others:
        with graph.subgraph(name=f"cluster_{panel.key}") as cluster:
            cluster.attr(
                "graph",
                label=escape_rows(panel.title),
                style="rounded,filled",
                fillcolor=find_colour("panel", is_dark),
                color=find_colour("frame", is_dark),
            )
            add_contents(cluster, panel, view.is_diff, is_dark)
    return str(graph.source)


def set_defaults(graph: Digraph, view: View, direction: str, is_dark: bool) -> None:
    """Set the title, and the attributes that all nodes and edges share."""
    graph.attr(
        "graph",
        rankdir=direction,
        label=escape_rows(view.title, view.subtitle, view.sign_key()),
        labelloc="t",
        fontname="Helvetica",
        fontcolor=find_colour("ink", is_dark),
        bgcolor=find_colour("page", is_dark),
        compound="true",
    )
    graph.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fontname="Helvetica",
        fontsize="10",
        fontcolor=find_colour("ink", is_dark),
    )
    graph.attr(
        "edge",
        fontname="Helvetica",
        fontsize="8",
        color=find_colour("edge", is_dark),
        fontcolor=find_colour("mute", is_dark),
    )


def add_contents(graph: Digraph, panel: Panel, is_diff: bool, is_dark: bool) -> None:
    """Add the boxes and links of a panel."""
    for box in panel.boxes:
        graph.node(
            f"{panel.key}_{box.key}",
            escape_rows(*box_rows(box)),
            tooltip=escape_rows(" ".join(box.steps) or box.title),
            **box_attributes(box, is_diff, is_dark),
        )
    for link in panel.links:
        graph.edge(
            f"{panel.key}_{link.tail}",
            f"{panel.key}_{link.head}",
            label=escape_rows(link.label) if link.label else None,
            **diff_link_style(link, is_dark),
        )


def box_attributes(box: Box, is_diff: bool, is_dark: bool) -> dict[str, str]:
    """Return the shape and the colours of a box."""
    fill, line = "port", "frame"
    if box.form in ("card", "symbol"):
        fill, line = f"fill:{box.kind}", f"line:{box.kind}"
    attributes = {
        "shape": "box",
        "style": "rounded,filled" + (",dashed" if box.condition is not None else ""),
        "fillcolor": find_colour(fill, is_dark),
        "color": find_colour(line, is_dark),
    }
    if is_diff:
        attributes |= diff_box_style(box, is_dark)
    if box.form == "symbol":
        attributes["shape"] = "circle"
        attributes["style"] = "filled" + (",dashed" if "dashed" in attributes["style"] else "")
    if box.repeat_count:
        attributes["peripheries"] = "2"
    return attributes


def diff_box_style(box: Box, is_dark: bool) -> dict[str, str]:
    """Return the attributes of a box in a diagram of two models."""
    stroke_width, is_dashed = CHANGE_LINES[box.change]
    style = "rounded,filled" + (",dashed" if is_dashed else "")
    if not box.change:
        fill = {} if box.form in ("input", "output", "port") else {"fillcolor": find_colour("page", is_dark)}
        return {"style": style, "color": find_colour("edge", is_dark), **fill}
    return {
        "style": style,
        "fillcolor": find_colour(f"wash:{box.change}", is_dark),
        "color": find_colour(f"mark:{box.change}", is_dark),
        "penwidth": f"{stroke_width:g}",
    }


def diff_link_style(link: Link, is_dark: bool) -> dict[str, str]:
    """Return the attributes of an added or removed link; {} for others."""
    if not link.change:
        return {}
    stroke_width, is_dashed = CHANGE_LINES[link.change]
    attributes = {"color": find_colour(f"mark:{link.change}", is_dark), "penwidth": f"{stroke_width:g}"}
    return {**attributes, "style": "dashed"} if is_dashed else attributes


def escape_rows(*rows: str) -> Any:
    """Return lines of a label that Graphviz does not interpret: no HTML, no escapes, no entities."""
    from graphviz import nohtml  # imported late, as above

    return nohtml("\\n".join(escape_label(row) for row in rows if row))


def escape_label(text: str) -> str:
    return display_text(text, 200).replace("&", "&amp;").replace("\\", "\\\\")


def box_rows(box: Box) -> list[str]:
    """Return the lines of text on a box."""
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

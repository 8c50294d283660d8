"""One order of axes in a diagram: backbones differ in it, and a reader compares boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from specbuild.diagram.captions import AxisSizes, format_axes
from specbuild.diagram.view_model import Panel, View

INPUT_WEIGHT = 1_000  # the inputs of the model decide, if they have the axes


def unify_axis_order(view: View) -> View:
    """Return a view in which boxes with the same axes list them in the same order: that of an input, or of most boxes."""
    votes: dict[frozenset[str], Counter[tuple[str, ...]]] = {}
    for box in view.all_boxes():
        if box.sizes:
            axes = tuple(axis for axis, _ in box.sizes)
            weight = INPUT_WEIGHT if box.form == "input" else 1
            votes.setdefault(frozenset(axes), Counter())[axes] += weight
    orders = {axes: count.most_common(1)[0][0] for axes, count in votes.items()}
    return replace(view, panels=tuple(reorder_panel(panel, orders) for panel in view.panels))


def reorder_panel(panel: Panel, orders: Mapping[frozenset[str], tuple[str, ...]]) -> Panel:
    """Return a panel with the axes of its boxes and labels in the given orders."""

    def reorder(sizes: AxisSizes) -> AxisSizes:
        order = orders.get(frozenset(axis for axis, _ in sizes), ())
        return tuple(sorted(sizes, key=lambda size: order.index(size[0]))) if order else sizes

    labels = {(box.key, format_axes(box.sizes)): format_axes(reorder(box.sizes)) for box in panel.boxes}
    return replace(
        panel,
        boxes=tuple(replace(box, sizes=reorder(box.sizes)) for box in panel.boxes),
        links=tuple(
            replace(link, label=labels.get((link.tail, link.label), link.label)) for link in panel.links
        ),
    )

"""One order of axes in a diagram: backbones differ in it, and a reader compares boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from specbuild.diagram.captions import AxisSizes, format_axes
from specbuild.diagram.view_model import Panel, View

INPUT_WEIGHT = 1_000  # the inputs of the model decide, if they have the axes


def unify_axis_order(view: View) -> View:
    """Return a view in which all boxes list their axes in one order, which the inputs and most boxes have."""
    votes: Counter[tuple[str, ...]] = Counter()
    for box in view.all_boxes():
        if box.sizes:
            votes[tuple(axis for axis, _ in box.sizes)] += INPUT_WEIGHT if box.form == "input" else 1
    by_votes = [axes for axes, _ in votes.most_common()]
    order = merge_orders(sorted(by_votes, key=lambda axes: len(axes) == 1))  # a single axis shows no order
    return replace(view, panels=tuple(reorder_panel(panel, order) for panel in view.panels))


def merge_orders(orders: Iterable[Sequence[str]]) -> list[str]:
    """Return one order of all axes: that of the first, into which the others insert what it does not have."""
    merged: list[str] = []
    for axes in orders:
        for i, axis in enumerate(axes):
            if axis not in merged:
                later = [merged.index(other) for other in axes[i + 1 :] if other in merged]
                merged.insert(min(later, default=len(merged)), axis)
    return merged


def reorder_panel(panel: Panel, order: Sequence[str]) -> Panel:
    """Return a panel with the axes of its boxes and labels in the given order."""

    def reorder(sizes: AxisSizes) -> AxisSizes:
        return tuple(sorted(sizes, key=lambda size: order.index(size[0])))

    labels = {(box.key, format_axes(box.sizes)): format_axes(reorder(box.sizes)) for box in panel.boxes}
    return replace(
        panel,
        boxes=tuple(replace(box, sizes=reorder(box.sizes)) for box in panel.boxes),
        links=tuple(
            replace(link, label=labels.get((link.tail, link.label), link.label)) for link in panel.links
        ),
    )

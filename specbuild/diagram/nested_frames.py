"""Blocks drawn inside the boxes that use them: which box shows which block, and the frame around it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagram.box_shapes import PAD_Y, Card
from specbuild.diagram.card_rows import CardFormat
from specbuild.diagram.row_layout import PlacedPanel
from specbuild.diagram.scene import Rect, Shape
from specbuild.diagram.view_model import Box, Panel, View

INNER_GAP = 8.0  # from the frame and its heading to the contents


class PanelTree(Struct, frozen=True):
    """The panels of a view: those on the page, and those inside of boxes."""

    panels: Sequence[Panel]
    inner_panels: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by panel and box
    depths: Mapping[str, int] = field(default_factory=dict)  # in how many frames a panel is

    @property
    def outer_panels(self) -> list[Panel]:
        inside = set(self.inner_panels.values())
        return [panel for panel in self.panels if panel.key not in inside]

    def depth_of(self, panel: Panel) -> int:
        return self.depths.get(panel.key, int(panel is not self.panels[0]))

    def levels_inside_out(self) -> list[list[Panel]]:
        """Return the panels by depth, each level after those inside it; all in one level if none is inside another."""
        if not self.inner_panels:
            return [list(self.panels)]
        levels: dict[int, list[Panel]] = {}
        for panel in self.panels:
            levels.setdefault(self.depth_of(panel), []).append(panel)
        return [levels[depth] for depth in sorted(levels, reverse=True)]


def nest_panels(view: View, closed: Collection[str]) -> PanelTree:
    """Return a tree in which each block is drawn where the view has it first, beginning with the steps of the model.

    The panels `closed` are drawn beside the model, like blocks that no box opens.
    """
    by_key = {panel.key: panel for panel in view.panels}
    inner_panels: dict[tuple[str, str], str] = {}
    depths: dict[str, int] = {}
    for outer in (view.panels[0], *(by_key[key] for key in by_key if key in closed), *view.panels):
        if outer.key in depths:
            continue
        depths[outer.key] = int(outer is not view.panels[0])
        waiting = [outer]
        for panel in waiting:
            for box in panel.boxes:
                inner = by_key.get(box.opens_panel)
                if inner is not None and inner.key not in depths and inner.key not in closed:
                    inner_panels[panel.key, box.key] = inner.key
                    depths[inner.key] = depths[panel.key] + 1
                    waiting.append(inner)
    return PanelTree(view.panels, inner_panels, depths)


def frames_to_close(placed: PlacedPanel, widest: float) -> list[str]:
    """Return the panels to draw separately: of those inside a panel that is too wide, those that are too wide themselves, or the widest."""
    widths = {card.inside.panel.key: card.w for card in placed.cards.values() if isinstance(card, FrameCard)}
    too_wide = [key for key, width in widths.items() if width > widest]
    return too_wide or sorted(widths, key=lambda key: -widths[key])[:1]


class FrameCard(Card):
    """A box that shows the contents of its block, below its title and size."""

    def __init__(
        self, box: Box, inside: PlacedPanel, is_horizontal: bool, is_diff: bool, card_format: CardFormat
    ) -> None:
        super().__init__(replace(box, macs_by_kind=()), 0.0, is_horizontal, is_diff, card_format)
        self.inside = inside
        heading = sum(row.height for row in self.rows)
        self.w = max(self.w, inside.w + 2 * (self.format.pad_x + INNER_GAP))
        self.h = heading + inside.h + 2 * PAD_Y + 2 * INNER_GAP
        self.inner_width = self.w - 2 * self.format.pad_x
        self.inner_offset = ((self.w - inside.w) / 2, PAD_Y + heading + INNER_GAP)

    def draw_shapes(self, x: float, y: float) -> list[Shape]:
        """Return the frame with its heading, in the colours of a panel."""
        return [
            replace(shape, fill="panel") if isinstance(shape, Rect) and shape.w == self.w else shape
            for shape in super().draw_shapes(x, y)
        ]

"""Draws one box: rows of text, chips, a badge and a bar. The size of the box follows from them."""

from __future__ import annotations

from collections.abc import Iterable

from specbuild.diagram.captions import AxisSizes
from specbuild.diagram.card_rows import (
    AXIS_GAP,
    CHIP_GAP,
    FULL_FORMAT,
    MAX_CHIP,
    MAX_TITLE,
    SIGN_WIDTH,
    CardFormat,
    CardRow,
    CardRows,
)
from specbuild.diagram.diff_marks import CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.scene import Curve, Rect, Shape, TextLine, rounded_path, straight_path
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import Box, Chip

PAD_Y = 6.0
STACK_OFFSET = 4.0  # from one card to the next, in the stack of a repeat
SYMBOL_SIZE = 21.0
SYMBOL_LABEL = 11.0  # the height of the name under a symbol


class Card:
    """A box with its size and its shapes."""

    def __init__(
        self,
        box: Box,
        mac_share: float,
        is_horizontal: bool = True,
        is_diff: bool = False,
        card_format: CardFormat = FULL_FORMAT,
    ) -> None:
        self.box, self.format = box, card_format
        self.is_diff = is_diff  # in a diagram of two models, only changes have colours
        self.is_horizontal = is_horizontal  # whether the diagram runs to the right
        self.mac_share = mac_share  # the share of the panel's multiply-adds; 0: no bar
        self.title = display_text(box.title, MAX_TITLE)
        self.layout = CardRows(box, card_format)
        self.rows = self.layout.build_rows(has_bar=bool(mac_share))
        self.inner_width = max((row.width for row in self.rows), default=0)
        self.w, self.h = self.card_size()
        self.name_offset: tuple[float, float] | None = None  # of the name of a symbol, from its centre

    @property
    def stack_height(self) -> float:
        """The height of the stack above the frame; it is as wide at the right."""
        return 2 * STACK_OFFSET if self.box.repeat_count else 0.0

    @property
    def has_label(self) -> bool:
        """Whether this is a symbol with a name."""
        return self.box.form == "symbol" and bool(self.box.name)

    @property
    def label_height(self) -> float:
        """The room above and below a symbol for its name, in a diagram that runs to the right."""
        return SYMBOL_LABEL if self.has_label and self.is_horizontal else 0.0

    @property
    def label_width(self) -> float:
        """The room at both sides of a symbol for its name, in a diagram that runs down."""
        if not self.has_label or self.is_horizontal:
            return 0.0
        return measure_text(display_text(self.box.name, 16), self.format.small_size) + 4

    def card_size(self) -> tuple[float, float]:
        if self.box.form == "symbol":
            return SYMBOL_SIZE, SYMBOL_SIZE
        return self.inner_width + 2 * self.format.pad_x, sum(row.height for row in self.rows) + 2 * PAD_Y

    # -- shapes, with the top left corner of the frame at x, y

    def draw_shapes(self, x: float, y: float) -> list[Shape]:
        if self.box.form == "symbol":
            return self.symbol_shapes(x, y)
        fill, line, stroke_width, is_dashed = self.frame_style()
        radius = self.corner_radius()
        shapes: list[Shape] = []
        if self.box.repeat_count:
            for k in (2, 1):
                left, top = x + STACK_OFFSET * k, y - STACK_OFFSET * k
                shapes.append(Rect(left, top, self.w, self.h, fill, line, radius, 0.9))
        shapes.append(Rect(x, y, self.w, self.h, fill, line, radius, stroke_width, is_dashed))
        top = y + PAD_Y
        for row in self.rows:
            shapes += self.row_shapes(row, x + self.format.pad_x, top)
            top += row.height
        return shapes

    def corner_radius(self) -> float:
        if self.box.form in ("input", "output"):
            return 10.0
        return 8.0 if self.box.form == "port" else 7.0

    @property
    def is_pill(self) -> bool:
        """Whether this is an input or output of the model in dark colours."""
        return self.box.form in ("input", "output") and not self.box.change

    def frame_style(self) -> tuple[str, str, float, bool]:
        """Return the fill and the line of the frame, the width of the line, and whether it is dashed."""
        box = self.box
        if box.change:
            return f"wash:{box.change}", f"mark:{box.change}", *CHANGE_LINES[box.change]
        if self.is_pill:
            return "pill", "pill", 1.2, False
        if box.form == "port":
            return "port", "frame", 1.2, False
        if self.is_diff:
            return "page", "edge", *CHANGE_LINES[""]
        return f"fill:{box.kind}", f"line:{box.kind}", 1.2, box.condition is not None

    def sign_shapes(self, x: float, y: float) -> list[Shape]:
        """Return the sign of the change."""
        line, is_filled = f"mark:{self.box.change}", self.box.change != "inside"
        sign, ink = CHANGE_SIGNS[self.box.change], "page" if is_filled else line
        return [
            Rect(x, y, SIGN_WIDTH - 6, 14, line if is_filled else "page", line, 4, 1),
            TextLine(x + SIGN_WIDTH / 2 - 3, y + 10.8, sign, 12, True, ink, True),
        ]

    def symbol_shapes(self, x: float, y: float) -> list[Shape]:
        """Return a circle with an arithmetic sign or a letter, and the name of the step."""
        cx, cy = x + self.w / 2, y + self.h / 2
        fill, line, stroke_width, is_dashed = self.frame_style()
        r = SYMBOL_SIZE / 2
        circle = Rect(cx - r, cy - r, 2 * r, 2 * r, fill, line, r, max(stroke_width, 1.4), is_dashed)
        shapes: list[Shape] = [circle]
        if self.box.change:
            shapes += self.sign_shapes(cx + 0.45 * r, cy - r - 9)
        shapes += operator_shapes(self.box.title, cx, cy, line)
        if self.box.name:
            name = display_text(self.box.name, 16)
            dx, dy = self.name_offset or (0.0, r + 9)
            shapes.append(TextLine(cx + dx, cy + dy, name, self.format.small_size, False, "mute", True))
        return shapes

    def row_shapes(self, row: CardRow, x: float, y: float) -> list[Shape]:
        box = self.box
        if row.role == "title":
            return self.title_shapes(row, x, y)
        if row.role == "sizes":
            return self.axes_shapes(row.sizes, x, y + 10.5)
        if row.role == "small":
            return [TextLine(x, y + 9, row.text, self.format.small_size, False, "mute")]
        if row.role == "note":
            return [TextLine(x, y + 10.5, row.text, 10, True, f"mark:{box.change}" if box.change else "ink")]
        if row.role == "bar":
            return self.bar_shapes(x, y + 3)
        shapes: list[Shape] = []
        if row.text:
            baseline = y + (12 if row.role == "detail+chips" else 10.5)
            shapes.append(TextLine(x, baseline, row.text, 10, False, "soft"))
            x += measure_text(row.text, 10) + 6
        return shapes if row.role == "detail" else [*shapes, *self.chip_shapes(row.chips, x, y)]

    def axes_shapes(self, sizes: AxisSizes, x: float, base: float) -> list[Shape]:
        """Return `C 256  H 56  W 56`, with small letters for the axes."""
        soft, mute = ("pill_soft", "pill_soft") if self.is_pill else ("soft", "mute")
        small = self.format.small_size
        shapes: list[Shape] = []
        for axis, number in sizes:
            shapes.append(TextLine(x, base, axis, small, False, mute))
            x += measure_text(axis, small) + 2
            if number:
                shapes.append(TextLine(x, base, number, 10, False, soft))
                x += measure_text(number, 10)
            x += AXIS_GAP
        return shapes

    def chip_shapes(self, chips: Iterable[Chip], x: float, y: float) -> list[Shape]:
        shapes: list[Shape] = []
        for chip in chips:
            text = display_text(chip.text, MAX_CHIP)
            width = self.layout.tag_width(text)
            fill, line = f"fill:{chip.kind}", f"line:{chip.kind}"
            if self.is_diff:
                fill, line, _, _ = self.frame_style()
            shapes.append(Rect(x, y + 2, width, 13, fill, line, 4, 0.9))
            shapes.append(TextLine(x + 4, y + 11.4, text, self.format.small_size, True, "soft"))
            x += width + CHIP_GAP
        return shapes

    def title_shapes(self, row: CardRow, x: float, y: float) -> list[Shape]:
        """Return the title, struck through if removed, and the tags at its right: sign, repeat count, `shared`."""
        box = self.box
        size = row.height - 3
        base = y + size - 1.2
        if self.is_pill:
            return [TextLine(x, base, self.title, size, True, "pill_ink")]
        ink = "ink" if box.change or not self.is_diff else "soft"
        title = TextLine(x, base, self.title, size, True, ink)
        shapes: list[Shape] = [title]
        if box.change == "removed":
            line = [(x - 1, base - 0.34 * size), (x + title.width + 1, base - 0.34 * size)]
            shapes.append(Curve(straight_path(line), "mark:removed", 1.2, has_arrow=False))
        right = x + self.inner_width
        if box.change:
            shapes += self.sign_shapes(right - SIGN_WIDTH + 6, y - 1)
            right -= SIGN_WIDTH
        if box.repeat_count:
            text = "×" + box.repeat_count
            width = measure_text(text, 10, True) + 10
            shapes.append(Rect(right - width, y - 1.5, width, 16, "badge", "", 5))
            shapes.append(TextLine(right - width + 5, y + 10.1, text, 10, True, "badge_ink"))
            right -= width + 6
        if box.weights_of or box.has_shared_weights:
            width = self.layout.tag_width("shared")
            shapes.append(Rect(right - width, y + 0.5, width, 12.5, "page", "shared", 4, 0.9))
            shapes.append(
                TextLine(right - width + 4, y + 9.6, "shared", self.format.small_size, True, "soft")
            )
        return shapes

    def bar_shapes(self, x: float, y: float) -> list[Shape]:
        """Return a bar for the share of the panel's multiply-adds, with a part for each kind of op."""
        shapes: list[Shape] = [Rect(x, y, self.inner_width, 4, "track", "", 1)]
        total = sum(macs for _, macs in self.box.macs_by_kind) or 1
        length = max(2.0, self.inner_width * min(self.mac_share, 1))
        for kind, macs in self.box.macs_by_kind:
            width = length * macs / total
            shapes.append(Rect(x, y, width, 4, f"line:{kind}", "", 0))
            x += width
        return shapes


def operator_shapes(title: str, cx: float, cy: float, line: str) -> list[Shape]:
    """Return the arithmetic sign or the letter of a symbol with its centre at cx, cy."""
    if title == "÷":
        return [TextLine(cx, cy + 5, "÷", 14, True, line, True)]
    if title not in "+−×":
        return [TextLine(cx, cy + 4.4, title, 13, True, line, True)]
    a = 4.2 if title != "×" else 3.4
    strokes = {
        "+": [((cx - a, cy), (cx + a, cy)), ((cx, cy - a), (cx, cy + a))],
        "−": [((cx - a, cy), (cx + a, cy))],
        "×": [((cx - a, cy - a), (cx + a, cy + a)), ((cx - a, cy + a), (cx + a, cy - a))],
    }[title]
    return [Curve(rounded_path([start, end]), line, 1.8, has_arrow=False) for start, end in strokes]

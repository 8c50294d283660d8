"""The rows of text of a card, and how wide they are: full ones, or compact ones for a narrow page."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from specbuild.diagram.captions import AxisSizes, short_number
from specbuild.diagram.instance_differences import SOME_INSTANCES
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import Box, Chip

AXIS_GAP = 7.0  # between two axes
CHIP_GAP = 3.0
SIGN_WIDTH = 21.0  # the sign of a change, with a gap
MAX_TITLE, MAX_DETAIL, MAX_NOTE, MAX_CHIP = 34, 72, 90, 24  # characters


class CardFormat(Struct, frozen=True):
    """How wide the text of cards is, and how small."""

    line_width: float = 132.0  # of a line that can be broken
    small_size: float = 8.0  # of the smallest text
    pad_x: float = 9.0
    column_gap: float = 24.0  # between cards in a grid
    breaks_sizes: bool = False  # whether sizes and chips are broken into lines, too


FULL_FORMAT = CardFormat()
WITHOUT_COUNTS = CardFormat(small_size=9.0)  # for a page on which full cards do not fit
COMPACT_FORMAT = CardFormat(line_width=74.0, small_size=9.0, pad_x=6.0, column_gap=14.0, breaks_sizes=True)


class CardRow(Struct, frozen=True):
    """One row of a card. `role` is title, detail, chips, detail+chips, note, sizes, small or bar."""

    height: float
    width: float
    role: str
    text: str = ""
    sizes: AxisSizes = ()
    chips: tuple[Chip, ...] = ()


class CardRows:
    """The rows of one card, from top to bottom."""

    def __init__(self, box: Box, card_format: CardFormat) -> None:
        self.box, self.format = box, card_format

    def build_rows(self, has_bar: bool) -> list[CardRow]:
        """Return all rows; none for a symbol."""
        box = self.box
        if box.form == "symbol":
            return []
        title_size = 12 if box.form in ("card", "input", "output") and not self.is_plain else 10
        title = display_text(box.title, MAX_TITLE)
        title_width = measure_text(title, title_size, True) + sum(6 + w for w in self.tag_widths())
        rows = [CardRow(title_size + 3, title_width, "title")]
        rows += self.detail_rows(title_width)
        for note in box.notes:
            for line in self.wrap_text(display_text(note, MAX_NOTE), break_before=()):
                rows.append(CardRow(14, measure_text(line, 10, True), "note", line))
        rows += self.size_rows()
        rows += self.small_rows()
        if has_bar:
            rows.append(CardRow(9, 80, "bar"))
        return rows

    @property
    def is_plain(self) -> bool:
        """Whether the box shows only its title, which is then smaller."""
        return self.box.form == "port" or not (
            self.box.detail
            or self.box.chips
            or self.box.sizes
            or self.box.parameters
            or self.box.notes
            or self.box.form != "card"
        )

    def detail_rows(self, title_width: float) -> list[CardRow]:
        """Return the rows of the details, with the chips after the last line if there is room, else below it."""
        *lines, last = self.wrap_text(display_text(self.box.detail, MAX_DETAIL)) or [""]
        rows = [CardRow(13, measure_text(line, 10), "detail", line) for line in lines]
        chips = self.box.chips
        chips_width, last_width = self.chips_width(chips), measure_text(last, 10)
        limit = max(self.format.line_width, title_width, *(row.width for row in rows))
        gap = 6 if last else 0
        if chips and last_width + gap + chips_width <= limit:
            return [*rows, CardRow(17, last_width + gap + chips_width, "detail+chips", last, chips=chips)]
        if last:
            rows.append(CardRow(14, last_width, "detail", last))
        return rows + self.chip_rows(limit)

    def chip_rows(self, limit: float) -> list[CardRow]:
        """Return the rows of chips below the details: one, or in a compact card as many as its width asks for."""
        lines: list[tuple[Chip, ...]] = []
        for chip in self.box.chips:
            if lines and (not self.format.breaks_sizes or self.chips_width((*lines[-1], chip)) <= limit):
                lines[-1] = (*lines[-1], chip)
            else:
                lines.append((chip,))
        return [CardRow(17, self.chips_width(line), "chips", chips=line) for line in lines]

    def size_rows(self) -> list[CardRow]:
        """Return the rows of the sizes: one, or in a compact card two if one is too wide: `C 64` and `H 56  W 56`."""
        sizes = self.box.sizes
        lines = [sizes] if sizes else []
        if self.format.breaks_sizes and len(sizes) > 1 and self.axes_width(sizes) > self.format.line_width:
            lines = [sizes[:1], sizes[1:]]
        return [CardRow(14, self.axes_width(line), "sizes", sizes=line) for line in lines]

    def small_rows(self) -> list[CardRow]:
        """Return rows in small letters: the condition, shared weights, and the cost."""
        box = self.box
        rows = []
        if box.condition is not None:
            condition = display_text(box.condition, 90)
            text = condition if condition == SOME_INSTANCES else f"if {condition}"
            for i, line in enumerate(self.wrap_text(text, (" or ", " and "), self.format.small_size)):
                rows.append(self.small_row(line, 11 if i else 12))
        if box.weights_of:
            rows.append(self.small_row(f"weights of {display_text(box.weights_of, 30)}"))
        costs = cost_labels(box)
        if box.old_cost:
            rows += map(self.small_row, costs)
        elif costs:
            rows.append(self.small_row(" · ".join(costs)))
        return rows

    def small_row(self, text: str, height: float = 12) -> CardRow:
        return CardRow(height, measure_text(text, self.format.small_size), "small", text)

    # -- widths

    def tag_widths(self) -> list[float]:
        """Return the widths of the tags at the right of the title."""
        widths = []
        if self.box.change:
            widths.append(SIGN_WIDTH)
        if self.box.repeat_count:
            widths.append(measure_text("×" + self.box.repeat_count, 10, True) + 10)
        if self.box.weights_of or self.box.has_shared_weights:
            widths.append(self.tag_width("shared"))
        return widths

    def tag_width(self, text: str) -> float:
        """Return the width of small bold text with a frame around it."""
        return measure_text(text, self.format.small_size, True) + 8

    def chips_width(self, chips: Iterable[Chip]) -> float:
        widths = [self.tag_width(display_text(chip.text, MAX_CHIP)) for chip in chips]
        return sum(widths) + CHIP_GAP * max(0, len(widths) - 1)

    def axes_width(self, sizes: AxisSizes) -> float:
        widths = [measure_text(a, self.format.small_size) + 2 + measure_text(n, 10) for a, n in sizes]
        return sum(widths) + AXIS_GAP * max(0, len(sizes) - 1)

    def wrap_text(self, text: str, break_before: tuple[str, ...] = (" → ",), size: float = 10) -> list[str]:
        """Break a text into lines: after commas and before some words, where a line would be too long.

        In a compact card also between two words.
        """
        for word in break_before:
            text = text.replace(word, f"\0{word.lstrip()}")
        parts = text.replace(", ", ",\0").split("\0")
        width = self.format.line_width
        if self.format.breaks_sizes:
            parts = [
                word
                for part in parts
                for word in (part.split(" ") if measure_text(part, size) > width else [part])
            ]
        lines: list[str] = []
        for word in filter(None, parts):
            if lines and measure_text(f"{lines[-1]} {word}", size) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines


def cost_labels(box: Box) -> list[str]:
    """Return the parameters and the multiply-adds of a box as texts, with the old numbers if they were different."""
    if box.form != "card":
        return []
    new = short_number(box.parameters), short_number(box.macs)
    old = tuple(map(short_number, box.old_cost)) if box.old_cost else new
    parameters, macs = (n if o == n else f"{o} → {n}" for o, n in zip(old, new, strict=True))
    unit = "param" if parameters == "1" else "params"
    return [f"{number} {word}" for number, word in ((parameters, unit), (macs, "MACs")) if number != "0"]

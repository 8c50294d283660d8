"""One box as shapes: rows of text, chips, a badge, a bar; its size follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from specbuild.diagram.captions import short_number
from specbuild.diagram.diff_marks import CHANGE_LINES, CHANGE_SIGNS
from specbuild.diagram.instance_differences import SOME_INSTANCES
from specbuild.diagram.scene import Curve, Rect, Shape, Text, rounded_path, straight_path
from specbuild.diagram.text_metrics import display_text, text_width
from specbuild.diagram.view_model import Box

PAD_X, PAD_Y = 9.0, 6.0
STACK_OFFSET = 4.0  # how far the cards of a stack stand out
SYMBOL_SIZE = 21.0
SYMBOL_LABEL = 11.0  # the name under a symbol
AXIS_GAP = 7.0  # between two axes
SIGN_WIDTH = 21.0  # the sign of what became of a step, with its gap
MAX_TITLE, MAX_DETAIL, MAX_NOTE = 34, 72, 90
MAX_LINE_WIDTH = 132.0  # of a line of details, where it can be broken


@dataclass(frozen=True)
class CardRow:
    """One row of a card: its height, its width, and what it draws at a left edge, baseline and inner width."""

    height: float
    width: float
    role: str
    text: str = ""


class Card:
    """A box on its way to the page."""

    def __init__(self, box: Box, mac_share: float, is_horizontal: bool = True, is_diff: bool = False) -> None:
        self.box = box
        self.is_diff = is_diff  # in a picture of two models, where only what differs stands out
        self.is_horizontal = is_horizontal  # whether the picture runs to the right
        self.mac_share = mac_share  # of all multiply-adds of the picture; 0: no bar
        self.detail = display_text(box.detail, MAX_DETAIL)
        self.title = display_text(box.title, MAX_TITLE)
        self.rows = self.build_rows()
        self.inner_width = max((row.width for row in self.rows), default=0)
        self.w, self.h = self.card_size()

    @property
    def stack_height(self) -> float:
        """How far it reaches above its frame."""
        return 2 * STACK_OFFSET if self.box.repeat_count else 0.0

    @property
    def has_label(self) -> bool:
        """Whether it is a symbol with a name under it."""
        return self.box.form == "symbol" and bool(self.box.name)

    @property
    def label_height(self) -> float:
        """Room above and below a symbol for its name."""
        return SYMBOL_LABEL if self.has_label and self.is_horizontal else 0.0

    @property
    def label_width(self) -> float:
        """The same to both sides, where the picture runs down."""
        return (
            text_width(display_text(self.box.name, 16), 8) + 4
            if self.has_label and not self.is_horizontal
            else 0.0
        )

    def card_size(self) -> tuple[float, float]:
        if self.box.form == "symbol":
            return SYMBOL_SIZE, SYMBOL_SIZE
        return self.inner_width + 2 * PAD_X, sum(row.height for row in self.rows) + 2 * PAD_Y

    def build_rows(self) -> list[CardRow]:
        box = self.box
        rows: list[CardRow] = []
        if box.form == "symbol":
            return rows
        big = 12 if box.form in ("card", "input", "output") and not self.is_plain else 10
        title = text_width(self.title, big, True) + sum(6 + w for w in self.tag_widths())
        rows.append(CardRow(big + 3, title, "title"))
        chips = self.chips_width()
        lines = wrap_text(self.detail)
        for line in lines[:-1]:
            rows.append(CardRow(13, text_width(line, 10), "detail", line))
        last = lines[-1] if lines else ""
        if (
            last
            and chips
            and text_width(last, 10) + 6 + chips > max(MAX_LINE_WIDTH, title, *(r.width for r in rows))
        ):
            rows += [CardRow(14, text_width(last, 10), "detail", last), CardRow(17, chips, "chips")]
        elif last or chips:
            both = text_width(last, 10) + (6 if last and chips else 0) + chips
            rows.append(CardRow(17 if chips else 14, both, "detail+chips" if chips else "detail", last))
        for line in (
            line for note in box.notes for line in wrap_text(display_text(note, MAX_NOTE), break_before=())
        ):
            rows.append(CardRow(14, text_width(line, 10, True), "note", line))
        if box.sizes:
            rows.append(CardRow(14, axes_width(box.sizes, box.form), "sizes"))
        if box.condition is not None:
            said = display_text(box.condition, 90)
            for i, line in enumerate(
                wrap_text(f"if {said}" if said != SOME_INSTANCES else said, (" or ", " and "), 8)
            ):
                rows.append(CardRow(11 if i else 12, text_width(line, 8), "said", line))
        if box.weights_of:
            said = f"weights of {display_text(box.weights_of, 30)}"
            rows.append(CardRow(12, text_width(said, 8), "said", said))
        told = cost_labels(box)
        for line in told if box.old_cost else [" · ".join(told)] * bool(told):
            rows.append(CardRow(12, text_width(line, 8), "said", line))
        if self.mac_share:
            rows.append(CardRow(9, 80, "bar"))
        return rows

    @property
    def is_plain(self) -> bool:
        """A light step by itself, which needs no more than its name."""
        return self.box.form == "port" or not (
            self.box.detail
            or self.box.chips
            or self.box.sizes
            or self.box.parameters
            or self.box.notes
            or self.box.form != "card"
        )

    def tag_widths(self) -> list[float]:
        """Widths of what stands at the right of the title."""
        widths = []
        if self.box.change:
            widths.append(SIGN_WIDTH)
        if self.box.repeat_count:
            widths.append(text_width("×" + self.box.repeat_count, 10, True) + 10)
        if self.box.weights_of or self.box.has_shared_weights:
            widths.append(text_width("shared", 8, True) + 8)
        return widths

    def chips_width(self) -> float:
        return sum(text_width(display_text(c.text, 24), 8, True) + 8 for c in self.box.chips) + 3 * max(
            0, len(self.box.chips) - 1
        )

    # -- drawing, with the top left corner of the frame at x, y

    def draw_shapes(self, x: float, y: float) -> list[Shape]:
        if self.box.form == "symbol":
            return self.symbol_shapes(x, y)
        box = self.box
        shapes: list[Shape] = []
        fill, line, thick, dash = self.frame_style()
        radius = (
            10.0 if self.is_pill or box.form in ("input", "output") else 8.0 if box.form == "port" else 7.0
        )
        if box.repeat_count:
            for k in (2, 1):
                shapes.append(
                    Rect(x + STACK_OFFSET * k, y - STACK_OFFSET * k, self.w, self.h, fill, line, radius, 0.9)
                )
        shapes.append(Rect(x, y, self.w, self.h, fill, line, radius, thick, dash))
        top = y + PAD_Y
        for row in self.rows:
            shapes += self.row_shapes(row, x + PAD_X, top)
            top += row.height
        return shapes

    @property
    def is_pill(self) -> bool:
        """Whether it is one of the dark ends of a picture."""
        return self.box.form in ("input", "output") and not self.box.change

    def frame_style(self) -> tuple[str, str, float, bool]:
        """What fills the frame, its line, how thick that is, and whether it is dashed."""
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
        """The sign of what became of a step, at a left edge and a top."""
        line, full = f"mark:{self.box.change}", self.box.change != "inside"
        shapes: list[Shape] = [Rect(x, y, SIGN_WIDTH - 6, 14, line if full else "page", line, 4, 1)]
        shapes.append(
            Text(
                x + SIGN_WIDTH / 2 - 3,
                y + 10.8,
                CHANGE_SIGNS[self.box.change],
                12,
                True,
                "page" if full else line,
                True,
            )
        )
        return shapes

    def symbol_shapes(self, x: float, y: float) -> list[Shape]:
        cx, cy = x + self.w / 2, y + self.h / 2
        fill, line, thick, dash = self.frame_style()
        r = SYMBOL_SIZE / 2
        shapes: list[Shape] = [Rect(cx - r, cy - r, 2 * r, 2 * r, fill, line, r, max(thick, 1.4), dash)]
        if self.box.change:
            shapes += self.sign_shapes(cx + 0.45 * r, cy - r - 9)
        if self.box.title == "÷":
            shapes.append(Text(cx, cy + 5, "÷", 14, True, line, True))
        elif self.box.title in "+−×":
            a = 4.2 if self.box.title != "×" else 3.4
            strokes = {
                "+": [((cx - a, cy), (cx + a, cy)), ((cx, cy - a), (cx, cy + a))],
                "−": [((cx - a, cy), (cx + a, cy))],
                "×": [((cx - a, cy - a), (cx + a, cy + a)), ((cx - a, cy + a), (cx + a, cy - a))],
            }[self.box.title]
            shapes += [Curve(rounded_path([p, q]), line, 1.8, has_arrow=False) for p, q in strokes]
        else:
            shapes.append(Text(cx, cy + 4.4, self.box.title, 13, True, line, True))
        if self.box.name:
            name = display_text(self.box.name, 16)
            at = (cx, cy + r + 9) if self.is_horizontal else (cx + r + 3, cy + 3)
            shapes.append(Text(*at, name, 8, False, "mute", self.is_horizontal))
        return shapes

    def row_shapes(self, row: CardRow, x: float, y: float) -> list[Shape]:
        box = self.box
        if row.role == "title":
            return self.title_shapes(row, x, y)
        if row.role == "sizes":
            return axes_shapes(box.sizes, x, y + 10.5, self.is_pill)
        if row.role == "said":
            return [Text(x, y + 9, row.text, 8, False, "mute")]
        if row.role == "note":
            return [Text(x, y + 10.5, row.text, 10, True, f"mark:{box.change}" if box.change else "ink")]
        if row.role == "bar":
            return self.bar_shapes(x, y + 3)
        shapes: list[Shape] = []
        if row.text:
            shapes.append(
                Text(x, y + (12 if row.role == "detail+chips" else 10.5), row.text, 10, False, "soft")
            )
            x += text_width(row.text, 10) + 6
        if row.role != "detail":
            for chip in box.chips:
                text = display_text(chip.text, 24)
                w = text_width(text, 8, True) + 8
                fill, line = f"fill:{chip.kind}", f"line:{chip.kind}"
                if self.is_diff:
                    fill, line, _, _ = self.frame_style()
                shapes.append(Rect(x, y + 2, w, 13, fill, line, 4, 0.9))
                shapes.append(Text(x + 4, y + 11.4, text, 8, True, "soft"))
                x += w + 3
        return shapes

    def title_shapes(self, row: CardRow, x: float, y: float) -> list[Shape]:
        box = self.box
        size = row.height - 3
        base = y + size - 1.2
        if self.is_pill:
            return [Text(x, base, self.title, size, True, "pill_ink")]
        ink = "ink" if box.change or not self.is_diff else "soft"
        title = Text(x, base, self.title, size, True, ink)
        shapes: list[Shape] = [title]
        if box.change == "removed":
            across = [(x - 1, base - 0.34 * size), (x + title.width + 1, base - 0.34 * size)]
            shapes.append(Curve(straight_path(across), "mark:removed", 1.2, has_arrow=False))
        right = x + self.inner_width
        if box.change:
            shapes += self.sign_shapes(right - SIGN_WIDTH + 6, y - 1)
            right -= SIGN_WIDTH
        if box.repeat_count:
            text = "×" + box.repeat_count
            w = text_width(text, 10, True) + 10
            shapes.append(Rect(right - w, y - 1.5, w, 16, "badge", "", 5))
            shapes.append(Text(right - w + 5, y + 10.1, text, 10, True, "badge_ink"))
            right -= w + 6
        if box.weights_of or box.has_shared_weights:
            w = text_width("shared", 8, True) + 8
            shapes.append(Rect(right - w, y + 0.5, w, 12.5, "page", "shared", 4, 0.9))
            shapes.append(Text(right - w + 4, y + 9.6, "shared", 8, True, "soft"))
        return shapes

    def bar_shapes(self, x: float, y: float) -> list[Shape]:
        """The share of all multiply-adds, in the colours of what does them."""
        whole = self.inner_width
        shapes: list[Shape] = [Rect(x, y, whole, 4, "track", "", 1)]
        total = sum(n for _, n in self.box.macs_by_kind) or 1
        length = max(2.0, whole * min(self.mac_share, 1))
        for kind, n in self.box.macs_by_kind:
            part = length * n / total
            shapes.append(Rect(x, y, part, 4, f"line:{kind}", "", 0))
            x += part
        return shapes


def cost_labels(box: Box) -> list[str]:
    """What a box takes: parameters and multiply-adds; where it took something else, that too."""
    if box.form != "card":
        return []
    now = short_number(box.parameters), short_number(box.macs)
    was = tuple(map(short_number, box.old_cost)) if box.old_cost else now
    numbers = [n if w == n else f"{w} → {n}" for w, n in zip(was, now, strict=True)]
    words = "param" if numbers[0] == "1" else "params", "MACs"
    return [f"{text} {word}" for text, word in zip(numbers, words, strict=True) if text != "0"]


def wrap_text(text: str, break_before: tuple[str, ...] = (" → ",), size: float = 10) -> list[str]:
    """Lines of details, broken after commas and before arrows (or other words) where one would be long."""
    lines: list[str] = []
    for word in break_before:
        text = text.replace(word, f"\0{word.lstrip()}")
    for word in text.replace(", ", ",\0").split("\0"):
        if not word:
            continue
        if lines and text_width(f"{lines[-1]} {word}", size) <= MAX_LINE_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def axes_width(sizes: tuple[tuple[str, str], ...], form: str) -> float:
    return sum(text_width(a, 8) + 2 + text_width(n, 10) for a, n in sizes) + AXIS_GAP * max(0, len(sizes) - 1)


def axes_shapes(
    sizes: tuple[tuple[str, str], ...], x: float, base: float, is_pill: bool = False
) -> list[Shape]:
    """`C 256  H 56  W 56`: letters small, numbers plain."""
    soft, mute = ("pill_soft", "pill_soft") if is_pill else ("soft", "mute")
    shapes: list[Shape] = []
    for axis, number in sizes:
        shapes.append(Text(x, base, axis, 8, False, mute))
        x += text_width(axis, 8) + 2
        if number:
            shapes.append(Text(x, base, number, 10, False, soft))
            x += text_width(number, 10)
        x += AXIS_GAP
    return shapes

"""One box as shapes: rows of text, chips, a badge, a bar; its size follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from specbuild.diagram.captions import short
from specbuild.diagram.diff_marks import LINES, SIGNS
from specbuild.diagram.instance_differences import SOME
from specbuild.diagram.scene import Curve, Rect, Shape, Text, rounded, straight
from specbuild.diagram.text_metrics import shown, width
from specbuild.diagram.view import Box

PAD_X, PAD_Y = 9.0, 6.0
GHOST = 4.0  # how far the cards of a stack stand out
SYMBOL = 21.0
NAME = 11.0  # the name under a symbol
SIZE_GAP = 7.0  # between two axes
SIGN = 21.0  # the sign of what became of a step, with its gap
MOST_TITLE, MOST_DETAIL, MOST_NOTE = 34, 72, 90
MOST_WIDTH = 132.0  # of a line of details, where it can be broken


@dataclass(frozen=True)
class Row:
    """One row of a card: its height, its width, and what it draws at a left edge, baseline and inner width."""

    height: float
    width: float
    kind: str
    text: str = ""


class Card:
    """A box on its way to the page."""

    def __init__(self, box: Box, share: float, across: bool = True, compared: bool = False) -> None:
        self.box = box
        self.compared = compared  # in a picture of two models, where only what differs stands out
        self.across = across  # whether the picture runs to the right
        self.share = share  # of all multiply-adds of the picture; 0: no bar
        self.detail = shown(box.detail, MOST_DETAIL)
        self.title = shown(box.title, MOST_TITLE)
        self.rows = self.laid()
        self.inner = max((row.width for row in self.rows), default=0)
        self.w, self.h = self.size()

    @property
    def top(self) -> float:
        """How far it reaches above its frame."""
        return 2 * GHOST if self.box.times else 0.0

    @property
    def named(self) -> bool:
        """Whether it is a symbol with a name under it."""
        return self.box.form == "symbol" and bool(self.box.name)

    @property
    def beneath(self) -> float:
        """Room above and below a symbol for its name."""
        return NAME if self.named and self.across else 0.0

    @property
    def beside(self) -> float:
        """The same to both sides, where the picture runs down."""
        return width(shown(self.box.name, 16), 8) + 4 if self.named and not self.across else 0.0

    def size(self) -> tuple[float, float]:
        if self.box.form == "symbol":
            return SYMBOL, SYMBOL
        return self.inner + 2 * PAD_X, sum(row.height for row in self.rows) + 2 * PAD_Y

    def laid(self) -> list[Row]:
        box = self.box
        rows: list[Row] = []
        if box.form == "symbol":
            return rows
        big = 12 if box.form in ("card", "input", "output") and not self.plain else 10
        title = width(self.title, big, True) + sum(6 + w for w in self.tags())
        rows.append(Row(big + 3, title, "title"))
        chips = self.chips_width()
        lines = broken(self.detail)
        for line in lines[:-1]:
            rows.append(Row(13, width(line, 10), "detail", line))
        last = lines[-1] if lines else ""
        if last and chips and width(last, 10) + 6 + chips > max(MOST_WIDTH, title, *(r.width for r in rows)):
            rows += [Row(14, width(last, 10), "detail", last), Row(17, chips, "chips")]
        elif last or chips:
            both = width(last, 10) + (6 if last and chips else 0) + chips
            rows.append(Row(17 if chips else 14, both, "detail+chips" if chips else "detail", last))
        for line in (line for note in box.notes for line in broken(shown(note, MOST_NOTE), before=())):
            rows.append(Row(14, width(line, 10, True), "note", line))
        if box.sizes:
            rows.append(Row(14, axes_width(box.sizes, box.form), "sizes"))
        if box.condition is not None:
            said = shown(box.condition, 90)
            for i, line in enumerate(broken(f"if {said}" if said != SOME else said, (" or ", " and "), 8)):
                rows.append(Row(11 if i else 12, width(line, 8), "said", line))
        if box.shares:
            said = f"weights of {shown(box.shares, 30)}"
            rows.append(Row(12, width(said, 8), "said", said))
        told = costs(box)
        for line in told if box.took else [" · ".join(told)] * bool(told):
            rows.append(Row(12, width(line, 8), "said", line))
        if self.share:
            rows.append(Row(9, 80, "bar"))
        return rows

    @property
    def plain(self) -> bool:
        """A light step by itself, which needs no more than its name."""
        return self.box.form == "port" or not (
            self.box.detail
            or self.box.chips
            or self.box.sizes
            or self.box.parameters
            or self.box.notes
            or self.box.form != "card"
        )

    def tags(self) -> list[float]:
        """Widths of what stands at the right of the title."""
        found = []
        if self.box.mark:
            found.append(SIGN)
        if self.box.times:
            found.append(width("×" + self.box.times, 10, True) + 10)
        if self.box.shares or self.box.shared:
            found.append(width("shared", 8, True) + 8)
        return found

    def chips_width(self) -> float:
        return sum(width(shown(c.text, 24), 8, True) + 8 for c in self.box.chips) + 3 * max(
            0, len(self.box.chips) - 1
        )

    # -- drawing, with the top left corner of the frame at x, y

    def shapes(self, x: float, y: float) -> list[Shape]:
        if self.box.form == "symbol":
            return self.symbol(x, y)
        box = self.box
        found: list[Shape] = []
        fill, line, thick, dash = self.paint()
        radius = 10.0 if self.pill or box.form in ("input", "output") else 8.0 if box.form == "port" else 7.0
        if box.times:
            for k in (2, 1):
                found.append(Rect(x + GHOST * k, y - GHOST * k, self.w, self.h, fill, line, radius, 0.9))
        found.append(Rect(x, y, self.w, self.h, fill, line, radius, thick, dash))
        top = y + PAD_Y
        for row in self.rows:
            found += self.row(row, x + PAD_X, top)
            top += row.height
        return found

    @property
    def pill(self) -> bool:
        """Whether it is one of the dark ends of a picture."""
        return self.box.form in ("input", "output") and not self.box.mark

    def paint(self) -> tuple[str, str, float, bool]:
        """What fills the frame, its line, how thick that is, and whether it is dashed."""
        box = self.box
        if box.mark:
            return f"wash:{box.mark}", f"mark:{box.mark}", *LINES[box.mark]
        if self.pill:
            return "pill", "pill", 1.2, False
        if box.form == "port":
            return "port", "frame", 1.2, False
        if self.compared:
            return "page", "edge", *LINES[""]
        return f"fill:{box.kind}", f"line:{box.kind}", 1.2, box.condition is not None

    def sign(self, x: float, y: float) -> list[Shape]:
        """The sign of what became of a step, at a left edge and a top."""
        line, full = f"mark:{self.box.mark}", self.box.mark != "inside"
        found: list[Shape] = [Rect(x, y, SIGN - 6, 14, line if full else "page", line, 4, 1)]
        found.append(
            Text(x + SIGN / 2 - 3, y + 10.8, SIGNS[self.box.mark], 12, True, "page" if full else line, True)
        )
        return found

    def symbol(self, x: float, y: float) -> list[Shape]:
        cx, cy = x + self.w / 2, y + self.h / 2
        fill, line, thick, dash = self.paint()
        r = SYMBOL / 2
        found: list[Shape] = [Rect(cx - r, cy - r, 2 * r, 2 * r, fill, line, r, max(thick, 1.4), dash)]
        if self.box.mark:
            found += self.sign(cx + 0.45 * r, cy - r - 9)
        if self.box.title == "÷":
            found.append(Text(cx, cy + 5, "÷", 14, True, line, True))
        elif self.box.title in "+−×":
            a = 4.2 if self.box.title != "×" else 3.4
            strokes = {
                "+": [((cx - a, cy), (cx + a, cy)), ((cx, cy - a), (cx, cy + a))],
                "−": [((cx - a, cy), (cx + a, cy))],
                "×": [((cx - a, cy - a), (cx + a, cy + a)), ((cx - a, cy + a), (cx + a, cy - a))],
            }[self.box.title]
            found += [Curve(rounded([p, q]), line, 1.8, arrow=False) for p, q in strokes]
        else:
            found.append(Text(cx, cy + 4.4, self.box.title, 13, True, line, True))
        if self.box.name:
            name = shown(self.box.name, 16)
            at = (cx, cy + r + 9) if self.across else (cx + r + 3, cy + 3)
            found.append(Text(*at, name, 8, False, "mute", self.across))
        return found

    def row(self, row: Row, x: float, y: float) -> list[Shape]:
        box = self.box
        if row.kind == "title":
            return self.title_row(row, x, y)
        if row.kind == "sizes":
            return axes(box.sizes, x, y + 10.5, self.pill)
        if row.kind == "said":
            return [Text(x, y + 9, row.text, 8, False, "mute")]
        if row.kind == "note":
            return [Text(x, y + 10.5, row.text, 10, True, f"mark:{box.mark}" if box.mark else "ink")]
        if row.kind == "bar":
            return self.bar(x, y + 3)
        found: list[Shape] = []
        if row.text:
            found.append(
                Text(x, y + (12 if row.kind == "detail+chips" else 10.5), row.text, 10, False, "soft")
            )
            x += width(row.text, 10) + 6
        if row.kind != "detail":
            for chip in box.chips:
                text = shown(chip.text, 24)
                w = width(text, 8, True) + 8
                fill, line = f"fill:{chip.kind}", f"line:{chip.kind}"
                if self.compared:
                    fill, line, _, _ = self.paint()
                found.append(Rect(x, y + 2, w, 13, fill, line, 4, 0.9))
                found.append(Text(x + 4, y + 11.4, text, 8, True, "soft"))
                x += w + 3
        return found

    def title_row(self, row: Row, x: float, y: float) -> list[Shape]:
        box = self.box
        size = row.height - 3
        base = y + size - 1.2
        if self.pill:
            return [Text(x, base, self.title, size, True, "pill_ink")]
        ink = "ink" if box.mark or not self.compared else "soft"
        title = Text(x, base, self.title, size, True, ink)
        found: list[Shape] = [title]
        if box.mark == "removed":
            across = [(x - 1, base - 0.34 * size), (x + title.width + 1, base - 0.34 * size)]
            found.append(Curve(straight(across), "mark:removed", 1.2, arrow=False))
        right = x + self.inner
        if box.mark:
            found += self.sign(right - SIGN + 6, y - 1)
            right -= SIGN
        if box.times:
            text = "×" + box.times
            w = width(text, 10, True) + 10
            found.append(Rect(right - w, y - 1.5, w, 16, "badge", "", 5))
            found.append(Text(right - w + 5, y + 10.1, text, 10, True, "badge_ink"))
            right -= w + 6
        if box.shares or box.shared:
            w = width("shared", 8, True) + 8
            found.append(Rect(right - w, y + 0.5, w, 12.5, "page", "shared", 4, 0.9))
            found.append(Text(right - w + 4, y + 9.6, "shared", 8, True, "soft"))
        return found

    def bar(self, x: float, y: float) -> list[Shape]:
        """The share of all multiply-adds, in the colours of what does them."""
        whole = self.inner
        found: list[Shape] = [Rect(x, y, whole, 4, "track", "", 1)]
        total = sum(n for _, n in self.box.mix) or 1
        length = max(2.0, whole * min(self.share, 1))
        for kind, n in self.box.mix:
            part = length * n / total
            found.append(Rect(x, y, part, 4, f"line:{kind}", "", 0))
            x += part
        return found


def costs(box: Box) -> list[str]:
    """What a box takes: parameters and multiply-adds; where it took something else, that too."""
    if box.form != "card":
        return []
    now = short(box.parameters), short(box.macs)
    was = tuple(map(short, box.took)) if box.took else now
    told = [n if w == n else f"{w} → {n}" for w, n in zip(was, now, strict=True)]
    words = "param" if told[0] == "1" else "params", "MACs"
    return [f"{text} {word}" for text, word in zip(told, words, strict=True) if text != "0"]


def broken(text: str, before: tuple[str, ...] = (" → ",), size: float = 10) -> list[str]:
    """Lines of details, broken after commas and before arrows (or other words) where one would be long."""
    lines: list[str] = []
    for word in before:
        text = text.replace(word, f"\0{word.lstrip()}")
    for word in text.replace(", ", ",\0").split("\0"):
        if not word:
            continue
        if lines and width(f"{lines[-1]} {word}", size) <= MOST_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def axes_width(sizes: tuple[tuple[str, str], ...], form: str) -> float:
    return sum(width(a, 8) + 2 + width(n, 10) for a, n in sizes) + SIZE_GAP * max(0, len(sizes) - 1)


def axes(sizes: tuple[tuple[str, str], ...], x: float, base: float, pill: bool = False) -> list[Shape]:
    """`C 256  H 56  W 56`: letters small, numbers plain."""
    soft, mute = ("pill_soft", "pill_soft") if pill else ("soft", "mute")
    found: list[Shape] = []
    for axis, number in sizes:
        found.append(Text(x, base, axis, 8, False, mute))
        x += width(axis, 8) + 2
        if number:
            found.append(Text(x, base, number, 10, False, soft))
            x += width(number, 10)
        x += SIZE_GAP
    return found

"""A panel as rows, as a text is lines: a row ends where only one value passes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.view import Link, Panel

SLACK = 1.1  # a row may be this much longer than the page before it is broken
STUMP = 0.17  # a row shorter than this part of the page is none
GAP = 27.0  # between ranks, for the estimate of a row's length


@dataclass
class Row:
    """Boxes that Graphviz places together, with the links between them."""

    keys: list[str]
    enters: str = ""  # the box of an earlier row whose value comes in
    leaves: str = ""  # the box whose value goes on
    plain: list[Link] = field(default_factory=list)
    leaps: list[Link] = field(default_factory=list)
    starts: list[Link] = field(default_factory=list)  # links from the box that enters
    junctions: dict[str, str] = field(default_factory=dict)  # box -> the dot where its value parts


class Division:
    """Puts the boxes of one panel into rows."""

    def __init__(self, panel: Panel, cards: Mapping[str, Card], across: bool, limit: float) -> None:
        self.panel, self.cards, self.across, self.limit = panel, cards, across, limit

    def order(self) -> list[str]:
        """Boxes so that each stands after what it reads; inputs and free weights just before who needs them."""
        keys = [box.key for box in self.panel.boxes]
        reads: dict[str, list[str]] = {key: [] for key in keys}
        for link in self.panel.links:
            reads[link.head].append(link.tail)
        found: dict[str, None] = {}
        sources = {key for key in keys if not reads[key]}
        stack: list[str]
        for key in keys:
            if key in sources:
                continue
            stack = [key]
            while stack:
                last = stack[-1]
                waiting = [k for k in reads[last] if k not in found]
                if waiting:
                    stack.append(waiting[0])
                else:
                    found[stack.pop()] = None
        for key in keys:
            found[key] = None
        return list(found)

    def extent(self, key: str) -> float:
        card = self.cards[key]
        return card.w if self.across else card.h

    def rows(self) -> list[Row]:
        order = self.order()
        place = {key: i for i, key in enumerate(order)}
        links = sorted(self.panel.links, key=lambda li: (place[li.tail], place[li.head]))
        last = dict(place)
        for link in links:
            last[link.tail] = max(last[link.tail], place[link.head])
        pieces: list[list[str]] = []
        current: list[str] = []
        for i, key in enumerate(order):
            current.append(key)
            crossing = (
                [k for k in order[: i + 1] if last[k] > i]
                if len(order) < 400
                else crossing_of(order, last, i)
            )
            if len(crossing) == 1 and i + 1 < len(order):
                pieces.append(current)
                current = []
        pieces.append(current)
        pieces = self.joined(pieces)
        lengths = [self.length(piece, links) for piece in pieces]
        total = sum(lengths) + GAP * (len(lengths) - 1)
        rows = max(1, -(-int(total) // int(self.limit * SLACK)))
        groups = without_stumps(balanced(lengths, rows, self.limit), lengths, self.limit)
        made: list[Row] = []
        start = 0
        for count in groups:
            keys = [key for piece in pieces[start : start + count] for key in piece]
            start += count
            made.append(self.row(keys, links, last, place))
        return made

    def joined(self, pieces: list[list[str]]) -> list[list[str]]:
        """Pieces at whose start a row may begin: nothing comes in there but the value of the row before."""
        heads = {link.head for link in self.panel.links}
        found: list[list[str]] = []
        for piece in pieces:
            found.append(list(piece))
            while len(found) > 1 and any(key not in heads for key in found[-1]):
                last = found.pop()
                found[-1] += last
        return found

    def length(self, piece: list[str], links: Sequence[Link]) -> float:
        """How long a piece is along the flow: its longest path."""
        inside = set(piece)
        far: dict[str, float] = {}
        reads: dict[str, list[str]] = {key: [] for key in piece}
        if len(piece) > 1:
            for link in links:
                if link.head in inside and link.tail in inside:
                    reads[link.head].append(link.tail)
        for key in piece:
            far[key] = self.extent(key) + max((far[k] + GAP for k in reads[key]), default=0)
        return max(far.values())

    def row(
        self, keys: list[str], links: Sequence[Link], last: Mapping[str, int], place: Mapping[str, int]
    ) -> Row:
        inside = set(keys)
        end = place[keys[-1]]
        begin = place[keys[0]]
        row = Row(keys)
        mine = [li for li in links if li.head in inside]
        within = [li for li in mine if li.tail in inside]
        row.starts = [li for li in mine if li.tail not in inside]
        row.enters = row.starts[0].tail if row.starts else ""
        row.leaves = next((k for k in place if begin <= place[k] <= end and last[k] > end), "")
        if not row.leaves and any(last[k] > end for k in place if place[k] < begin):
            row.leaves = row.enters
        far = longest(keys, within)
        for link in within:
            (row.leaps if far(link.tail, link.head) > 1 else row.plain).append(link)
        if row.starts and len(row.starts) > 1:
            far_in = longest(["in", *keys], [*within, *(Link("in", li.head) for li in row.starts)])
            for link in list(row.starts):
                if far_in("in", link.head) > 1:
                    row.starts.remove(link)
                    row.leaps.append(Link("in", link.head, link.label, link.type))
        out: dict[str, int] = {}
        for link in [*row.plain, *row.leaps]:
            out[link.tail] = out.get(link.tail, 0) + 1
        for link in row.leaps:
            if link.tail != "in" and (out[link.tail] > 1 or row.leaves == link.tail):
                row.junctions[link.tail] = f"j{link.tail}"
        return row


def crossing_of(order: Sequence[str], last: Mapping[str, int], i: int) -> list[str]:
    """The boxes up to place i whose values are read after it; only whether there is one, or more, matters."""
    found = []
    for key in reversed(order[: i + 1]):
        if last[key] > i:
            found.append(key)
            if len(found) > 1:
                break
    return found


def balanced(lengths: Sequence[float], rows: int, limit: float) -> list[int]:
    """How many pieces go into each row, so that no row is much longer than the others."""
    while True:
        total = sum(lengths) + GAP * (len(lengths) - 1)
        target = max(total / rows * 1.02, max(lengths))
        counts: list[int] = []
        current, count = 0.0, 0
        for i, n in enumerate(lengths):
            left = len(lengths) - i
            if count and current + GAP + n > target and len(counts) + 1 < rows and left:
                counts.append(count)
                current, count = 0.0, 0
            current += (GAP if count else 0) + n
            count += 1
        counts.append(count)
        start, worst = 0, 0.0
        for c in counts:
            part = lengths[start : start + c]
            worst = max(worst, sum(part) + GAP * (len(part) - 1))
            start += c
        if worst <= limit * SLACK or rows >= len(lengths):
            return counts
        rows += 1


def without_stumps(counts: list[int], lengths: Sequence[float], limit: float) -> list[int]:
    """Rows of next to nothing join their neighbour: better a row that is long than one box on its own."""
    found = list(counts)
    starts = [sum(found[:i]) for i in range(len(found))]
    extents = [sum(lengths[s : s + n]) + GAP * (n - 1) for s, n in zip(starts, found, strict=True)]
    if len(found) > 1 and extents[-1] < STUMP * limit:
        found[-2:] = [found[-2] + found[-1]]
    if len(found) > 1 and extents[0] < STUMP * limit:
        found[:2] = [found[0] + found[1]]
    return found


def longest(keys: Sequence[str], links: Sequence[Link]) -> Callable[[str, str], int]:
    """How many links the longest way from one box to another has."""
    after: dict[str, list[str]] = {key: [] for key in keys}
    for link in links:
        after[link.tail].append(link.head)
    place = {key: i for i, key in enumerate(keys)}
    memo: dict[str, dict[str, int]] = {}

    def from_(tail: str) -> dict[str, int]:
        if tail not in memo:
            far = {tail: 0}
            for key in keys[place[tail] :]:
                if key in far:
                    for head in after[key]:
                        far[head] = max(far.get(head, 0), far[key] + 1)
            memo[tail] = far
        return memo[tail]

    return lambda tail, head: from_(tail).get(head, 0)


def main_way(row: Row) -> set[Link]:
    """The links that are drawn straight: on the longest way through, where there is a single one.

    Ways that part and meet again as equals (query, key and value) are left to lie evenly around the middle.
    """
    into: dict[str, list[Link]] = {key: [] for key in row.keys}
    out: dict[str, list[Link]] = {key: [] for key in row.keys}
    for link in row.plain:
        into[link.head].append(link)
        out[link.tail].append(link)
    before: dict[str, int] = {}
    behind: dict[str, int] = {}
    for key in row.keys:
        before[key] = max((before[li.tail] + 1 for li in into[key]), default=0)
    for key in reversed(row.keys):
        behind[key] = max((behind[li.head] + 1 for li in out[key]), default=0)

    def only(links: Sequence[Link], far: Callable[[Link], int]) -> Link | None:
        best = [li for li in links if far(li) == max(map(far, links))]
        return best[0] if len(best) == 1 else None

    return {
        link
        for link in row.plain
        if only(into[link.head], lambda li: before[li.tail]) is link
        and only(out[link.tail], lambda li: behind[li.head]) is link
    }

"""A panel as rows, as a text is lines: a row ends where only one value passes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.view_model import Link, Panel

ROW_SLACK = 1.1  # a row may be this much longer than the page before it is broken
SHORT_ROW = 0.17  # a row shorter than this part of the page is none
RANK_GAP = 27.0  # between ranks, for the estimate of a row's length


@dataclass
class PanelRow:
    """Boxes that Graphviz places together, with the links between them."""

    keys: list[str]
    entry_key: str = ""  # the box of an earlier row whose value comes in
    exit_key: str = ""  # the box whose value goes on
    direct_links: list[Link] = field(default_factory=list)
    skip_links: list[Link] = field(default_factory=list)
    entry_links: list[Link] = field(default_factory=list)  # links from the box that enters
    junctions: dict[str, str] = field(default_factory=dict)  # box -> the dot where its value parts


class RowDivision:
    """Puts the boxes of one panel into rows."""

    def __init__(self, panel: Panel, cards: Mapping[str, Card], is_horizontal: bool, limit: float) -> None:
        self.panel, self.cards, self.is_horizontal, self.limit = panel, cards, is_horizontal, limit

    def order_boxes(self) -> list[str]:
        """Boxes so that each stands after what it reads; inputs and free weights just before who needs them."""
        keys = [box.key for box in self.panel.boxes]
        reads: dict[str, list[str]] = {key: [] for key in keys}
        for link in self.panel.links:
            reads[link.head].append(link.tail)
        ordered: dict[str, None] = {}
        sources = {key for key in keys if not reads[key]}
        stack: list[str]
        for key in keys:
            if key in sources:
                continue
            stack = [key]
            while stack:
                last = stack[-1]
                waiting = [k for k in reads[last] if k not in ordered]
                if waiting:
                    stack.append(waiting[0])
                else:
                    ordered[stack.pop()] = None
        for key in keys:
            ordered[key] = None
        return list(ordered)

    def box_extent(self, key: str) -> float:
        card = self.cards[key]
        return card.w if self.is_horizontal else card.h

    def split_rows(self) -> list[PanelRow]:
        order = self.order_boxes()
        index = {key: i for i, key in enumerate(order)}
        links = sorted(self.panel.links, key=lambda li: (index[li.tail], index[li.head]))
        last = dict(index)
        for link in links:
            last[link.tail] = max(last[link.tail], index[link.head])
        pieces: list[list[str]] = []
        current: list[str] = []
        for i, key in enumerate(order):
            current.append(key)
            crossing = (
                [k for k in order[: i + 1] if last[k] > i]
                if len(order) < 400
                else find_crossing(order, last, i)
            )
            if len(crossing) == 1 and i + 1 < len(order):
                pieces.append(current)
                current = []
        pieces.append(current)
        pieces = self.join_pieces(pieces)
        lengths = [self.piece_length(piece, links) for piece in pieces]
        total = sum(lengths) + RANK_GAP * (len(lengths) - 1)
        rows = max(1, -(-int(total) // int(self.limit * ROW_SLACK)))
        groups = merge_short_rows(balance_rows(lengths, rows, self.limit), lengths, self.limit)
        made: list[PanelRow] = []
        start = 0
        for count in groups:
            keys = [key for piece in pieces[start : start + count] for key in piece]
            start += count
            made.append(self.build_row(keys, links, last, index))
        return made

    def join_pieces(self, pieces: list[list[str]]) -> list[list[str]]:
        """Pieces at whose start a row may begin: nothing comes in there but the value of the row before."""
        heads = {link.head for link in self.panel.links}
        joined_pieces: list[list[str]] = []
        for piece in pieces:
            joined_pieces.append(list(piece))
            while len(joined_pieces) > 1 and any(key not in heads for key in joined_pieces[-1]):
                last = joined_pieces.pop()
                joined_pieces[-1] += last
        return joined_pieces

    def piece_length(self, piece: list[str], links: Sequence[Link]) -> float:
        """How long a piece is along the flow: its longest path."""
        inside = set(piece)
        far: dict[str, float] = {}
        reads: dict[str, list[str]] = {key: [] for key in piece}
        if len(piece) > 1:
            for link in links:
                if link.head in inside and link.tail in inside:
                    reads[link.head].append(link.tail)
        for key in piece:
            far[key] = self.box_extent(key) + max((far[k] + RANK_GAP for k in reads[key]), default=0)
        return max(far.values())

    def build_row(
        self, keys: list[str], links: Sequence[Link], last: Mapping[str, int], index: Mapping[str, int]
    ) -> PanelRow:
        inside = set(keys)
        end = index[keys[-1]]
        begin = index[keys[0]]
        row = PanelRow(keys)
        mine = [li for li in links if li.head in inside]
        within = [li for li in mine if li.tail in inside]
        row.entry_links = [li for li in mine if li.tail not in inside]
        row.entry_key = row.entry_links[0].tail if row.entry_links else ""
        row.exit_key = next((k for k in index if begin <= index[k] <= end and last[k] > end), "")
        if not row.exit_key and any(last[k] > end for k in index if index[k] < begin):
            row.exit_key = row.entry_key
        far = longest_paths(keys, within)
        for link in within:
            (row.skip_links if far(link.tail, link.head) > 1 else row.direct_links).append(link)
        if row.entry_links and len(row.entry_links) > 1:
            far_in = longest_paths(["in", *keys], [*within, *(Link("in", li.head) for li in row.entry_links)])
            for link in list(row.entry_links):
                if far_in("in", link.head) > 1:
                    row.entry_links.remove(link)
                    row.skip_links.append(Link("in", link.head, link.label, link.type))
        out: dict[str, int] = {}
        for link in [*row.direct_links, *row.skip_links]:
            out[link.tail] = out.get(link.tail, 0) + 1
        for link in row.skip_links:
            if link.tail != "in" and (out[link.tail] > 1 or row.exit_key == link.tail):
                row.junctions[link.tail] = f"j{link.tail}"
        return row


def find_crossing(order: Sequence[str], last: Mapping[str, int], i: int) -> list[str]:
    """The boxes up to place i whose values are read after it; only whether there is one, or more, matters."""
    crossing = []
    for key in reversed(order[: i + 1]):
        if last[key] > i:
            crossing.append(key)
            if len(crossing) > 1:
                break
    return crossing


def balance_rows(lengths: Sequence[float], rows: int, limit: float) -> list[int]:
    """How many pieces go into each row, so that no row is much longer than the others."""
    while True:
        total = sum(lengths) + RANK_GAP * (len(lengths) - 1)
        target = max(total / rows * 1.02, max(lengths))
        counts: list[int] = []
        current, count = 0.0, 0
        for i, n in enumerate(lengths):
            left = len(lengths) - i
            if count and current + RANK_GAP + n > target and len(counts) + 1 < rows and left:
                counts.append(count)
                current, count = 0.0, 0
            current += (RANK_GAP if count else 0) + n
            count += 1
        counts.append(count)
        start, worst = 0, 0.0
        for c in counts:
            part = lengths[start : start + c]
            worst = max(worst, sum(part) + RANK_GAP * (len(part) - 1))
            start += c
        if worst <= limit * ROW_SLACK or rows >= len(lengths):
            return counts
        rows += 1


def merge_short_rows(counts: list[int], lengths: Sequence[float], limit: float) -> list[int]:
    """Rows of next to nothing join their neighbour: better a row that is long than one box on its own."""
    merged = list(counts)
    starts = [sum(merged[:i]) for i in range(len(merged))]
    extents = [sum(lengths[s : s + n]) + RANK_GAP * (n - 1) for s, n in zip(starts, merged, strict=True)]
    if len(merged) > 1 and extents[-1] < SHORT_ROW * limit:
        merged[-2:] = [merged[-2] + merged[-1]]
    if len(merged) > 1 and extents[0] < SHORT_ROW * limit:
        merged[:2] = [merged[0] + merged[1]]
    return merged


def longest_paths(keys: Sequence[str], links: Sequence[Link]) -> Callable[[str, str], int]:
    """How many links the longest way from one box to another has."""
    after: dict[str, list[str]] = {key: [] for key in keys}
    for link in links:
        after[link.tail].append(link.head)
    index = {key: i for i, key in enumerate(keys)}
    memo: dict[str, dict[str, int]] = {}

    def paths_from(tail: str) -> dict[str, int]:
        if tail not in memo:
            far = {tail: 0}
            for key in keys[index[tail] :]:
                if key in far:
                    for head in after[key]:
                        far[head] = max(far.get(head, 0), far[key] + 1)
            memo[tail] = far
        return memo[tail]

    return lambda tail, head: paths_from(tail).get(head, 0)


def main_links(row: PanelRow) -> set[Link]:
    """The links that are drawn straight: on the longest way through, where there is a single one.

    Ways that part and meet again as equals (query, key and value) are left to lie evenly around the middle.
    """
    into: dict[str, list[Link]] = {key: [] for key in row.keys}
    out: dict[str, list[Link]] = {key: [] for key in row.keys}
    for link in row.direct_links:
        into[link.head].append(link)
        out[link.tail].append(link)
    before: dict[str, int] = {}
    behind: dict[str, int] = {}
    for key in row.keys:
        before[key] = max((before[li.tail] + 1 for li in into[key]), default=0)
    for key in reversed(row.keys):
        behind[key] = max((behind[li.head] + 1 for li in out[key]), default=0)

    def single_farthest(links: Sequence[Link], far: Callable[[Link], int]) -> Link | None:
        best = [li for li in links if far(li) == max(map(far, links))]
        return best[0] if len(best) == 1 else None

    return {
        link
        for link in row.direct_links
        if single_farthest(into[link.head], lambda li: before[li.tail]) is link
        and single_farthest(out[link.tail], lambda li: behind[li.head]) is link
    }

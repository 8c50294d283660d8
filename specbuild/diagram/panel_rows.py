"""Breaks a panel into rows, like text into lines. A row ends where only one value is read later.

A box with `row: new` in the spec begins a row, or the boxes do that are not parted from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagram.box_shapes import Card
from specbuild.diagram.view_model import Link, Panel

ROW_SLACK = 1.1  # how much longer than the page a row may be
SHORT_ROW = 0.17  # a row shorter than this part of the page is merged with the next
RANK_GAP = 27.0  # between two boxes, for the estimate of the length of a row


class PanelRow(Struct):
    """Boxes that Graphviz lays out together, with the links between them."""

    keys: list[str]
    entry_key: str = ""  # the box of an earlier row whose value this row reads
    exit_key: str = ""  # the box whose value a later row reads
    direct_links: list[Link] = field(default_factory=list)
    skip_links: list[Link] = field(default_factory=list)  # links that pass other boxes
    entry_links: list[Link] = field(default_factory=list)  # links from an earlier row
    junctions: dict[str, str] = field(default_factory=dict)  # for a box: the dot where its link branches


class RowDivision:
    """Divides the boxes of one panel into rows."""

    def __init__(self, panel: Panel, cards: Mapping[str, Card], is_horizontal: bool, limit: float) -> None:
        self.panel, self.cards, self.is_horizontal, self.limit = panel, cards, is_horizontal, limit

    def order_boxes(self) -> list[str]:
        """Return the boxes in an order in which each comes after its inputs.

        Sources come just before their first reader.
        """
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
        """Return the rows of the panel, of about the same length, none much longer than the limit."""
        order = self.order_boxes()
        index = {key: i for i, key in enumerate(order)}
        links = sorted(self.panel.links, key=lambda link: (index[link.tail], index[link.head]))
        last_reader = dict(index)
        for link in links:
            last_reader[link.tail] = max(last_reader[link.tail], index[link.head])
        pieces = self.join_pieces(split_pieces(order, last_reader))
        counts = [count for part in self.split_parts(pieces) for count in self.count_pieces(part, links)]
        rows: list[PanelRow] = []
        start = 0
        for count in counts:
            keys = [key for piece in pieces[start : start + count] for key in piece]
            start += count
            rows.append(self.build_row(keys, links, last_reader, index))
        return rows

    def split_parts(self, pieces: list[list[str]]) -> list[list[list[str]]]:
        """Return the pieces in parts: each begins a row, because the spec says so of one of its boxes."""
        new_rows = {box.key for box in self.panel.boxes if box.row == "new"}
        parts: list[list[list[str]]] = [[]]
        for piece in pieces:
            if parts[-1] and not new_rows.isdisjoint(piece):
                parts.append([])
            parts[-1].append(piece)
        return parts

    def count_pieces(self, pieces: list[list[str]], links: Sequence[Link]) -> list[int]:
        """Return the number of pieces in each row."""
        lengths = [self.piece_length(piece, links) for piece in pieces]
        total = sum(lengths) + RANK_GAP * (len(lengths) - 1)
        row_count = max(1, -(-int(total) // int(self.limit * ROW_SLACK)))
        return merge_short_rows(balance_rows(lengths, row_count, self.limit), lengths, self.limit)

    def join_pieces(self, pieces: list[list[str]]) -> list[list[str]]:
        """Return pieces that can begin a row. Others are joined to the piece before."""
        reads: dict[str, list[str]] = {box.key: [] for box in self.panel.boxes}
        for link in self.panel.links:
            reads[link.head].append(link.tail)
        joined_pieces: list[list[str]] = []
        for piece in pieces:
            joined_pieces.append(list(piece))
            while len(joined_pieces) > 1 and not can_begin_row(joined_pieces[-1], reads):
                last = joined_pieces.pop()
                joined_pieces[-1] += last
        return joined_pieces

    def piece_length(self, piece: list[str], links: Sequence[Link]) -> float:
        """Return the length of a piece along the flow: that of its longest path."""
        inside = set(piece)
        path_lengths: dict[str, float] = {}  # of the longest path to the end of each box
        reads: dict[str, list[str]] = {key: [] for key in piece}
        if len(piece) > 1:
            for link in links:
                if link.head in inside and link.tail in inside:
                    reads[link.head].append(link.tail)
        for key in piece:
            path_lengths[key] = self.box_extent(key) + max(
                (path_lengths[k] + RANK_GAP for k in reads[key]), default=0
            )
        return max(path_lengths.values())

    def build_row(
        self,
        keys: list[str],
        links: Sequence[Link],
        last_reader: Mapping[str, int],
        index: Mapping[str, int],
    ) -> PanelRow:
        """Return a row of boxes with its links.

        `index` gives the position of each box in the panel's order.
        """
        inside = set(keys)
        begin, end = index[keys[0]], index[keys[-1]]
        row = PanelRow(keys)
        links_here = [link for link in links if link.head in inside]
        inner_links = [link for link in links_here if link.tail in inside]
        row.entry_links = [link for link in links_here if link.tail not in inside]
        row.entry_key = row.entry_links[0].tail if row.entry_links else ""
        row.exit_key = next((k for k in index if begin <= index[k] <= end < last_reader[k]), "")
        if not row.exit_key and any(index[k] < begin and end < last_reader[k] for k in index):
            row.exit_key = row.entry_key
        distance = longest_paths(keys, inner_links)
        for link in inner_links:
            (row.skip_links if distance(link.tail, link.head) > 1 else row.direct_links).append(link)
        if len(row.entry_links) > 1:
            separate_entry_skips(row, inner_links)
        add_junctions(row)
        return row


def can_begin_row(piece: Sequence[str], reads: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a row can begin with these boxes: the first reads a value, and no stream of its own begins here.

    A weight that is added to a value is no stream: its reader follows from the row before.
    """
    sources: set[str] = set()
    for key in piece:
        if sources.issuperset(reads[key]):
            if reads[key]:
                return False
            sources.add(key)
    return piece[0] not in sources


def separate_entry_skips(row: PanelRow, inner_links: Sequence[Link]) -> None:
    """Move the links from an earlier row that pass other boxes to the skip links of a row."""
    all_links = [*inner_links, *(Link("in", link.head) for link in row.entry_links)]
    distance = longest_paths(["in", *row.keys], all_links)
    for link in list(row.entry_links):
        if distance("in", link.head) > 1:
            row.entry_links.remove(link)
            row.skip_links.append(replace(link, tail="in"))


def route_directly(row: PanelRow, links: Sequence[Link]) -> PanelRow:
    """Return a row in which some skip links are left to Graphviz."""
    changed = replace(
        row,
        direct_links=[*row.direct_links, *(link for link in links if link.tail != "in")],
        entry_links=[*row.entry_links, *(link for link in links if link.tail == "in")],
        skip_links=[link for link in row.skip_links if link not in links],
        junctions={},
    )
    add_junctions(changed)
    return changed


def add_junctions(row: PanelRow) -> None:
    """Add a junction for each box with a skip link and another link."""
    output_counts = Counter(link.tail for link in [*row.direct_links, *row.skip_links])
    for link in row.skip_links:
        if link.tail != "in" and (output_counts[link.tail] > 1 or row.exit_key == link.tail):
            row.junctions[link.tail] = f"j{link.tail}"


def split_pieces(order: Sequence[str], last_reader: Mapping[str, int]) -> list[list[str]]:
    """Return the boxes in order, cut wherever only one value is read later."""
    pieces: list[list[str]] = [[]]
    for i, key in enumerate(order):
        pieces[-1].append(key)
        if i + 1 < len(order) and len(find_crossing(order, last_reader, i)) == 1:
            pieces.append([])
    return pieces


def find_crossing(order: Sequence[str], last_reader: Mapping[str, int], i: int) -> list[str]:
    """Return at most two of the boxes up to index i whose values are read after it."""
    crossing = []
    for key in reversed(order[: i + 1]):
        if last_reader[key] > i:
            crossing.append(key)
            if len(crossing) > 1:
                break
    return crossing


def balance_rows(lengths: Sequence[float], row_count: int, limit: float) -> list[int]:
    """Return the number of pieces in each row, so that the rows have about the same length.

    There are more rows than `row_count` if one would be too long.
    """
    while True:
        total = sum(lengths) + RANK_GAP * (len(lengths) - 1)
        target = max(total / row_count * 1.02, max(lengths))
        counts = fill_rows(lengths, row_count, target)
        if max(row_lengths(counts, lengths)) <= limit * ROW_SLACK or row_count >= len(lengths):
            return counts
        row_count += 1


def fill_rows(lengths: Sequence[float], row_count: int, target: float) -> list[int]:
    """Return the number of pieces in each row, if each row but the last ends before it is longer than the target."""
    counts: list[int] = []
    current, count = 0.0, 0
    for length in lengths:
        if count and current + RANK_GAP + length > target and len(counts) + 1 < row_count:
            counts.append(count)
            current, count = 0.0, 0
        current += (RANK_GAP if count else 0) + length
        count += 1
    return [*counts, count]


def row_lengths(counts: Sequence[int], lengths: Sequence[float]) -> list[float]:
    """Return the length of each row, from the number of its pieces and the lengths of all pieces."""
    ends = list(accumulate(counts))
    return [
        sum(lengths[end - count : end]) + RANK_GAP * (count - 1)
        for end, count in zip(ends, counts, strict=True)
    ]


def merge_short_rows(counts: list[int], lengths: Sequence[float], limit: float) -> list[int]:
    """Return the numbers of pieces after merging a very short first or last row into its neighbour."""
    merged = list(counts)
    extents = row_lengths(counts, lengths)
    if len(merged) > 1 and extents[-1] < SHORT_ROW * limit:
        merged[-2:] = [merged[-2] + merged[-1]]
    if len(merged) > 1 and extents[0] < SHORT_ROW * limit:
        merged[:2] = [merged[0] + merged[1]]
    return merged


def longest_paths(keys: Sequence[str], links: Sequence[Link]) -> Callable[[str, str], int]:
    """Return a function that returns the number of links of the longest path along which a box reads another."""
    after: dict[str, list[str]] = {key: [] for key in keys}
    for link in links:
        after[link.tail].append(link.head)
    index = {key: i for i, key in enumerate(keys)}
    readings = Counter(link.head for link in links)
    memo: dict[str, dict[str, int]] = {}

    def paths_from(tail: str) -> dict[str, int]:
        lengths = {tail: 0}
        last = max((index[head] for head in after[tail] if readings[head] > 1), default=0)
        for key in keys[index[tail] : last]:
            if key in lengths:
                for head in after[key]:
                    lengths[head] = max(lengths.get(head, 0), lengths[key] + 1)
        return {head: lengths.get(head, 1) for head in after[tail]}

    def distance(tail: str, head: str) -> int:
        if tail not in memo:
            memo[tail] = paths_from(tail)
        return memo[tail].get(head, 0)

    return distance


def main_links(row: PanelRow) -> set[Link]:
    """Return the links on the only longest path through a row, which are drawn straight.

    Where several paths are equally long, such as query, key and value, none is: they are spread evenly.
    """
    into: dict[str, list[Link]] = {key: [] for key in row.keys}
    out: dict[str, list[Link]] = {key: [] for key in row.keys}
    for link in row.direct_links:
        into[link.head].append(link)
        out[link.tail].append(link)
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for key in row.keys:
        before[key] = max((before[li.tail] + 1 for li in into[key]), default=0)
    for key in reversed(row.keys):
        after[key] = max((after[li.head] + 1 for li in out[key]), default=0)

    def single_farthest(links: Sequence[Link], distances: Sequence[int]) -> Link | None:
        farthest = max(distances, default=0)
        best = [link for link, distance in zip(links, distances, strict=True) if distance == farthest]
        return best[0] if len(best) == 1 else None

    chosen_into = {
        key: single_farthest(links, [before[li.tail] for li in links]) for key, links in into.items()
    }
    chosen_out = {key: single_farthest(links, [after[li.head] for li in links]) for key, links in out.items()}
    return {
        link for link in row.direct_links if chosen_into[link.head] is link and chosen_out[link.tail] is link
    }


def find_siblings(row: PanelRow) -> list[list[str]]:
    """Return boxes that read several values of the same boxes and are read by the same ones, in their order.

    They are drawn one below the other, as in the spec: the fusions of the levels of two backbones.
    """
    links = [*row.direct_links, *row.entry_links]
    tails: dict[str, list[str]] = {key: [] for key in row.keys}
    heads: dict[str, list[str]] = {key: [] for key in row.keys}
    for link in links:
        tails[link.head].append(link.tail)
        if link.tail in heads:
            heads[link.tail].append(link.head)
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for key in row.keys:
        if tails[key] and heads[key]:
            groups.setdefault((frozenset(tails[key]), frozenset(heads[key])), []).append(key)
    return [sorted(keys, key=lambda key: int(key[1:])) for keys in groups.values() if len(keys) > 1]

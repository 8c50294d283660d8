"""The layout of a panel with levels of resolution: a grid whose rows are the levels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from specbuild.diagram.box_shapes import SYMBOL_SIZE, Card
from specbuild.diagram.grid_router import GridRouter, LatticePoint
from specbuild.diagram.label_places import LABEL_SIZE, MAX_NAME
from specbuild.diagram.lattice_lanes import Stretch, assign_lanes, split_stretches
from specbuild.diagram.link_ends import BoxPosition
from specbuild.diagram.panel_rows import longest_paths
from specbuild.diagram.resolution_levels import LevelGrid
from specbuild.diagram.row_layout import LinkRoute, PlacedPanel
from specbuild.diagram.scene import Point, rounded_path
from specbuild.diagram.text_metrics import display_text, measure_text
from specbuild.diagram.view_model import Link, Panel

LANE_WIDTH = 9.0  # between two links along one line
ROW_GAP = 18.0
EDGE_GAP = 2.0  # around the grid, where no link runs


class LevelLayout:
    """The positions of boxes in the cells of a grid, and the routes of links along its lines."""

    def __init__(
        self, panel: Panel, cards: Mapping[str, Card], order: Sequence[str], grid: LevelGrid
    ) -> None:
        self.panel, self.cards, self.order, self.grid = panel, cards, order, grid
        self.column_gap = max(card.format.column_gap for card in cards.values())
        router = GridRouter(grid.cells, grid.row_count, grid.column_count)
        self.paths: list[tuple[Link, list[LatticePoint]]] = []
        for link in sorted(panel.links, key=self.link_length):
            self.paths.append((link, router.find_path(link_value(link), link.tail, link.head)))
        self.stretches = [split_stretches(path) for _, path in self.paths]
        values = [link_value(link) for link, _ in self.paths]
        self.lane_counts = assign_lanes(list(zip(values, self.stretches, strict=True)))
        self.row_lines = self.place_lines(is_row=True)
        self.column_lines = self.place_lines(is_row=False)

    def link_length(self, link: Link) -> tuple[bool, int, int, int]:
        """Return the distance in cells that a link covers, for the order in which links are routed."""
        (row, column), (head_row, head_column) = self.grid.cells[link.tail], self.grid.cells[link.head]
        return (
            link.gives_size,
            abs(head_row - row) + abs(head_column - column),
            self.order.index(link.head),
            self.order.index(link.tail),
        )

    def place_lines(self, *, is_row: bool) -> list[float]:
        """Return the coordinate of each line of the lattice: of the middle of a gap, a row or a column."""
        count = self.grid.row_count if is_row else self.grid.column_count
        sizes = [0.0] * count
        for key, (row, column) in self.grid.cells.items():
            card = self.cards[key]
            if is_row:
                size = card.h + 2 * card.label_height + 2 * card.stack_height
                sizes[row] = max(sizes[row], size)
            else:
                width = max(card.w + 2 * card.stack_height, self.name_room(key))
                sizes[column] = max(sizes[column], width)
        lines = []
        edge = 0.0
        for i in range(count + 1):
            lanes = self.lane_counts.get((is_row, 2 * i), 0)
            gap = self.gap_size(i, count, lanes, is_row=is_row)
            lines.append(edge + gap / 2)
            edge += gap
            if i < count:
                lines.append(edge + sizes[i] / 2)
                edge += sizes[i]
        return lines

    def name_room(self, key: str) -> float:
        """Return the width of a symbol with its name beside it, where lines arrive from above and from below."""
        card, (row, column) = self.cards[key], self.grid.cells[key]
        here = (2 * row + 1, 2 * column + 1)
        ends = [(path[0], path[1]) for _, path in self.paths] + [
            (path[-1], path[-2]) for _, path in self.paths
        ]
        sides = {beside[0] - end[0] for end, beside in ends if end == here}
        if not card.has_label or not {-1, 1} <= sides:
            return 0.0
        return 2 * measure_text(display_text(card.box.name, MAX_NAME), LABEL_SIZE)

    def gap_size(self, index: int, count: int, lanes: int, *, is_row: bool) -> float:
        """Return the room between two rows or columns, with the lanes and the labels that are in it."""
        if index in (0, count):
            return EDGE_GAP + LANE_WIDTH * lanes
        base = ROW_GAP if is_row else self.column_gap
        label = 0.0 if is_row else self.label_room(index)
        return max(base + LANE_WIDTH * max(lanes - 1, 0), label + LANE_WIDTH * lanes)

    def label_room(self, index: int) -> float:
        """Return the room for the labels of the links that enter boxes from the left, in one gap."""
        widths = [0.0]
        for (link, path), stretches in zip(self.paths, self.stretches, strict=True):
            if link.label and stretches[-1].is_horizontal and path[-1][1] - 1 == 2 * index:
                widths.append(measure_text(link.label, 8) + 14)
        return max(widths)

    def stretch_coordinate(self, stretch: Stretch) -> float:
        lines = self.row_lines if stretch.is_horizontal else self.column_lines
        return lines[stretch.line] + LANE_WIDTH * stretch.offset

    # -- result

    @property
    def width(self) -> float:
        """The width of the grid, with the lanes at both edges."""
        return self.column_lines[-1] + self.column_lines[0]

    @property
    def height(self) -> float:
        """The height of the grid, with the lanes at both edges."""
        return self.row_lines[-1] + self.row_lines[0]

    def place_panel(self) -> PlacedPanel:
        """Return the panel with positions."""
        placed = PlacedPanel(self.panel, self.cards)
        for key, (row, column) in self.grid.cells.items():
            card = self.cards[key]
            x, y = self.column_lines[2 * column + 1], self.row_lines[2 * row + 1]
            placed.positions[key] = BoxPosition(x, y, card.w, card.h)
        distance = longest_paths(self.order, self.panel.links)
        corners = [
            self.path_corners(path, s) for (_, path), s in zip(self.paths, self.stretches, strict=True)
        ]
        for (link, _), points in zip(self.paths, corners, strict=True):
            is_skip = distance(link.tail, link.head) > 1 and not link.gives_size
            label = self.label_place(link, points)
            placed.routes.append(LinkRoute(rounded_path(points), link, True, label, is_skip))
        placed.dots = self.find_junctions(corners)
        placed.w, placed.h = panel_extent(placed)
        return placed

    def path_corners(self, path: Sequence[LatticePoint], stretches: Sequence[Stretch]) -> list[Point]:
        """Return the points where a route starts, turns and ends; its ends are at the frames of boxes."""
        corners: list[Point] = []
        for before, after in pairwise(stretches):
            x, y = (after, before) if before.is_horizontal else (before, after)
            corners.append((self.stretch_coordinate(x), self.stretch_coordinate(y)))
        first, last = stretches[0], stretches[-1]
        following = (path[1][0] - path[0][0], path[1][1] - path[0][1])
        preceding = (path[-2][0] - path[-1][0], path[-2][1] - path[-1][1])
        keys = {(2 * row + 1, 2 * column + 1): key for key, (row, column) in self.grid.cells.items()}
        start = self.frame_point(keys[path[0]], following, self.stretch_coordinate(first))
        end = self.frame_point(keys[path[-1]], preceding, self.stretch_coordinate(last))
        return [start, *corners, end]

    def frame_point(self, key: str, side: tuple[int, int], across: float) -> Point:
        """Return where a route meets the frame of a box, at one side of it; `across` is the route's lane."""
        card = self.cards[key]
        row, column = self.grid.cells[key]
        x, y = self.column_lines[2 * column + 1], self.row_lines[2 * row + 1]
        if side[0]:
            return across, y + side[0] * (self.half_extent(card, card.h, across - x) + self.stack(card, side))
        return x + side[1] * (self.half_extent(card, card.w, across - y) + self.stack(card, side)), across

    @staticmethod
    def half_extent(card: Card, size: float, off_centre: float) -> float:
        """Return the distance from the centre of a box to its frame, measured at a distance `off_centre` from the middle."""
        if card.box.form != "symbol":
            return size / 2 + 0.7
        radius = SYMBOL_SIZE / 2 + 0.7
        return float(max(radius**2 - off_centre**2, 0) ** 0.5)

    @staticmethod
    def stack(card: Card, side: tuple[int, int]) -> float:
        """Return how far the cards of a repeat extend beyond its frame, above it and to its right."""
        return card.stack_height if side in ((-1, 0), (0, 1)) else 0.0

    def label_place(self, link: Link, points: Sequence[Point]) -> tuple[float, float, str] | None:
        """Return the position of a label: before the arrow, above a horizontal line, right of a vertical one."""
        if not link.label:
            return None
        (_, y0), (x1, y1) = points[-2], points[-1]
        width = measure_text(link.label, 8)
        if abs(y1 - y0) < 0.1:
            return x1 - 9 - width / 2, y1 - 4, link.label
        return x1 + 4 + width / 2, (y1 - 10 if y1 > y0 else y1 + 17), link.label

    def find_junctions(self, corners: Sequence[Sequence[Point]]) -> list[Point]:
        """Return the points where the links of one value separate."""
        by_value: dict[str, list[Sequence[Point]]] = defaultdict(list)
        for (link, _), points in zip(self.paths, corners, strict=True):
            if not link.gives_size:
                by_value[link_value(link)].append(points)
        dots: dict[Point, None] = {}
        for routes in by_value.values():
            turns = Counter(point for points in routes for point in points[1:-1])
            for point in turns:
                crossing = sum(passes_straight(point, points) for points in routes)
                if crossing:
                    dots[point] = None
        return list(dots)


def link_value(link: Link) -> str:
    """Return a key that is equal for the links of one value; they can share a line."""
    return f"{link.tail} {link.type}{' size' * link.gives_size}"


def passes_straight(point: Point, points: Sequence[Point]) -> bool:
    """Return whether a route passes a point without a turn there."""
    x, y = point
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(y0 - y1) < 0.1 and abs(y - y0) < 0.1 and min(x0, x1) + 0.5 < x < max(x0, x1) - 0.5:
            return True
        if abs(x0 - x1) < 0.1 and abs(x - x0) < 0.1 and min(y0, y1) + 0.5 < y < max(y0, y1) - 0.5:
            return True
    return False


def panel_extent(placed: PlacedPanel) -> tuple[float, float]:
    """Return the width and the height of all boxes and routes."""
    xs, ys = [0.0], [0.0]
    for key, position in placed.positions.items():
        xs.append(position.bounds[2] + placed.cards[key].stack_height)
        ys.append(position.bounds[3] + placed.cards[key].label_height)
    for route in placed.routes:
        xs += [x for x, _ in route.points]
        ys += [y for _, y in route.points]
    return max(xs), max(ys)

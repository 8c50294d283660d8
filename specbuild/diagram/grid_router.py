"""Routes links between boxes in a grid: along the lines between rows and columns, and through free cells.

Points have lattice coordinates: the cell in row r and column c is (2r + 1, 2c + 1), and even numbers are the
lines between cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import pairwise

from specbuild.diagram.resolution_levels import Cell

LatticePoint = tuple[int, int]  # row and column; odd: through cells, even: between them
Direction = tuple[int, int]

RIGHT, LEFT, DOWN, UP = (0, 1), (0, -1), (1, 0), (-1, 0)
# What a path costs besides its length, by the direction in which it leaves a box and arrives at one.
LEAVE_COST = {RIGHT: 0.0, DOWN: 0.6, UP: 0.6, LEFT: 9.0}
ARRIVE_COST = {RIGHT: 0.0, DOWN: 0.5, UP: 0.5, LEFT: 9.0}
TURN_COST = 1.6
CELL_COST = 2.0  # of a step into or out of a cell; the step between two lines is cheaper
LINE_COST = 1.0
SHARED_COST = 2.5  # of a step that the link of another value takes, too
CROSSING_COST = 1.2
SAME_VALUE_FACTOR = 0.55  # links of one value stay together


class GridRouter:
    """Finds a path for one link after another; later ones avoid the lines of earlier ones."""

    def __init__(self, cells: Mapping[str, Cell], row_count: int, column_count: int) -> None:
        self.height, self.width = 2 * row_count + 1, 2 * column_count + 1
        self.points = {key: (2 * row + 1, 2 * column + 1) for key, (row, column) in cells.items()}
        self.blocked = set(self.points.values())
        # which values pass each step of the lattice, and each point in each orientation
        self.steps: dict[tuple[LatticePoint, LatticePoint], set[str]] = defaultdict(set)
        self.passages: dict[tuple[LatticePoint, bool], set[str]] = defaultdict(set)

    def find_path(self, value: str, tail: str, head: str) -> list[LatticePoint]:
        """Return the points from one box to another, and remember them as those of a value."""
        start, goal = self.points[tail], self.points[head]
        best: dict[tuple[LatticePoint, Direction], float] = {}
        before: dict[tuple[LatticePoint, Direction], tuple[LatticePoint, Direction]] = {}
        queue: list[tuple[float, LatticePoint, Direction]] = []
        for direction, cost in LEAVE_COST.items():
            self.push_step(queue, best, before, (cost, start, direction), direction, value)
        while queue:
            cost, point, direction = heappop(queue)
            if cost > best[point, direction]:
                continue
            if point == goal:
                return self.keep_path(value, start, (point, direction), before)
            if point in self.blocked:
                continue
            for next_direction in LEAVE_COST:
                if next_direction != (-direction[0], -direction[1]):
                    turn = TURN_COST if next_direction != direction else 0.0
                    self.push_step(
                        queue, best, before, (cost + turn, point, direction), next_direction, value, goal
                    )
        raise AssertionError("the lines around the grid join all cells")

    def push_step(
        self,
        queue: list[tuple[float, LatticePoint, Direction]],
        best: dict[tuple[LatticePoint, Direction], float],
        before: dict[tuple[LatticePoint, Direction], tuple[LatticePoint, Direction]],
        state: tuple[float, LatticePoint, Direction],
        direction: Direction,
        value: str,
        goal: LatticePoint | None = None,
    ) -> None:
        """Add the step from a point in a direction to the queue, if it is the best so far."""
        cost, point, arrived = state
        following = (point[0] + direction[0], point[1] + direction[1])
        if not (0 <= following[0] < self.height and 0 <= following[1] < self.width):
            return
        if following in self.blocked and following != goal:
            return
        cost += self.step_cost(value, point, following)
        if following == goal:
            cost += ARRIVE_COST[direction]
        if cost < best.get((following, direction), float("inf")):
            best[following, direction] = cost
            before[following, direction] = (point, arrived)
            heappush(queue, (cost, following, direction))

    def step_cost(self, value: str, point: LatticePoint, following: LatticePoint) -> float:
        cost = (
            CELL_COST
            if (point[0] % 2 and point[1] % 2) or (following[0] % 2 and following[1] % 2)
            else LINE_COST
        )
        users = self.steps[min(point, following), max(point, following)]
        if value in users:
            return cost * SAME_VALUE_FACTOR
        is_horizontal = point[0] == following[0]
        crossing = self.passages[following, not is_horizontal] - {value}
        return cost + SHARED_COST * len(users) + CROSSING_COST * len(crossing)

    def keep_path(
        self,
        value: str,
        start: LatticePoint,
        end: tuple[LatticePoint, Direction],
        before: Mapping[tuple[LatticePoint, Direction], tuple[LatticePoint, Direction]],
    ) -> list[LatticePoint]:
        path = [end[0]]
        state = end
        while state[0] != start:
            state = before[state]
            path.append(state[0])
        path.reverse()
        for a, b in pairwise(path):
            self.steps[min(a, b), max(a, b)].add(value)
            for point in (a, b):
                self.passages[point, a[0] == b[0]].add(value)
        return path

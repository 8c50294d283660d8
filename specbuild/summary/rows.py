"""The steps of a model as rows: output, cost and inner rows of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagnostics.errors import make_printable
from specbuild.ir.cost import Cost, CostCounter, scanned_cost
from specbuild.ir.graph import Block, FreeSizes, Node, Skip

NO_COST = Cost()

SortKey: TypeAlias = Literal["parameters", "multiply-adds", "memory", "name"]


class SummaryRow(Struct, frozen=True):
    """One step, or `times` equal steps in a row with the sum of their costs.

    A group whose members are all of one kind has that kind as well; `members` is their number.
    """

    name: str
    kind: str
    output: str
    marked_output: str  # with a star at each size that can be any
    cost: Cost = NO_COST
    inner: tuple[SummaryRow, ...] = ()
    times: int = 1
    members: int = 1
    member_range: str = ""  # indices of equal members that share one row with their group: 0-2

    def __hash__(self) -> int:
        return hash(
            (self.name, self.kind, self.output, self.cost)
        )  # without the inner rows: they may be many

    @property
    def path_part(self) -> str:
        """The part of the path that this row adds."""
        return f"{self.name}.{self.member_range}" if self.member_range else self.name

    @property
    def instance_count(self) -> int:
        """The number of steps of this kind in the row."""
        return self.times * self.members

    @property
    def kind_and_count(self) -> str:
        """The kind, with the number of steps if there are several."""
        return f"{self.kind} x{self.instance_count}" if self.instance_count > 1 else self.kind


class NameBranch(Struct):
    """The nodes whose dotted names start with the same parts: `node` has this name, `children` longer ones."""

    node: Node | None = None
    children: dict[str, NameBranch] = field(default_factory=dict)


def summary_rows(model: Block) -> tuple[SummaryRow, ...]:
    """Return the rows of a model: its inputs, then its steps."""
    free = model.free_sizes or FreeSizes()
    inputs = (
        SummaryRow(name, "input", str(x), x.describe(free.axes_of(model, name)))
        for name, x in model.inputs.items()
    )
    return (*inputs, *RowBuilder(free).block_rows(model))


class RowBuilder:
    """Builds the rows of a model; a shared block instance is built once."""

    def __init__(self, free: FreeSizes) -> None:
        self.free = free
        self.costs = CostCounter()
        self.cache: dict[Block, tuple[SummaryRow, ...]] = {}

    def block_rows(self, block: Block) -> tuple[SummaryRow, ...]:
        if block not in self.cache:
            top = NameBranch()
            for node in block.nodes:
                branch = top
                for part in node.name.split("."):
                    branch = branch.children.setdefault(part, NameBranch())
                branch.node = node
            self.cache[block] = tuple(
                fold_rows(self.build_row(name, branch, block) for name, branch in top.children.items())
            )
        return self.cache[block]

    def build_row(self, name: str, branch: NameBranch, block: Block) -> SummaryRow:
        node = branch.node
        if node is not None:
            inner = self.block_rows(node.op) if isinstance(node.op, Block) and not node.reuses else ()
            if node.scan is not None:
                inner = tuple(scan_row(node, row) for row in inner)
            if block.is_frozen(node.name):
                inner = tuple(map(freeze_row, inner))
            return SummaryRow(
                name,
                node_kind(node),
                make_printable(str(node.type)),
                make_printable(node.type.describe(self.free.axes_of(block, node.name))),
                self.costs.node_cost(node, block),
                inner,
            )
        members = tuple(
            fold_rows(self.build_row(part, child, block) for part, child in branch.children.items())
        )
        if len(members) == 1 and members[0].times > 1:
            return replace(members[0], name=name, member_range=members[0].name)
        kinds = {member.kind for member in members}
        count = sum(member.instance_count for member in members)
        total = sum((member.cost for member in members), NO_COST)
        is_uniform = len(kinds) == 1 < count
        return SummaryRow(
            name,
            kinds.pop() if is_uniform else "do",
            members[-1].output,
            members[-1].marked_output,
            total,
            members,
            members=count if is_uniform else 1,
        )


def freeze_row(row: SummaryRow) -> SummaryRow:
    """Return the row of a frozen step: its inner rows are frozen too."""
    return replace(row, cost=row.cost.frozen_cost, inner=tuple(map(freeze_row, row.inner)))


def scan_row(node: Node, row: SummaryRow) -> SummaryRow:
    """Return a row inside a scanned step with the cost of all positions."""
    inner = tuple(scan_row(node, part) for part in row.inner)
    return replace(row, cost=scanned_cost(node, row.cost), inner=inner)


def node_kind(node: Node) -> str:
    if isinstance(node.op, Skip):
        return "skipped"
    name = node.op.name if isinstance(node.op, Block) else node.op.title
    kind = name if node.scan is None else f"{name} along {node.scan.over}"
    return f"{kind} (reuses {node.reuses})" if node.reuses else kind


def fold_rows(members: Iterable[SummaryRow]) -> Iterator[SummaryRow]:
    """Join consecutive rows that differ only in their index."""
    current: SummaryRow | None = None
    first = ""
    for row in members:
        if current is not None and row.name.isdigit() and can_fold(current, row):
            current = replace(
                current, times=current.times + 1, cost=current.cost + row.cost, name=f"{first}-{row.name}"
            )
            continue
        if current is not None:
            yield current
        current, first = row, row.name
    if current is not None:
        yield current


def can_fold(current: SummaryRow, row: SummaryRow) -> bool:
    same = (current.kind, current.output, current.inner) == (row.kind, row.output, row.inner)
    return same and row.times == 1 and current.cost == row.cost * current.times and current.name[0].isdigit()


class PlacedRow(Struct, frozen=True):
    """A row with its level and its full path."""

    row: SummaryRow
    level: int
    path: str


def walk_rows(
    rows: Iterable[SummaryRow], depth: int | None, level: int = 0, prefix: str = ""
) -> Iterator[PlacedRow]:
    """Yield all rows down to `depth` levels, outer rows first; every level if None."""
    for row in rows:
        path = f"{prefix}{row.path_part}"
        yield PlacedRow(row, level, path)
        if depth is None or level + 1 < depth:
            yield from walk_rows(row.inner, depth, level + 1, path + ".")


MEASURES: dict[str, Callable[[Cost], int]] = {
    "parameters": lambda cost: cost.parameters,
    "multiply-adds": lambda cost: cost.macs,
    "memory": lambda cost: cost.memory,
}


def sort_rows(rows: Iterable[SummaryRow], key: SortKey) -> tuple[SummaryRow, ...]:
    """Sort the rows of each level by name, or by cost from high to low; inputs stay first."""

    def sort_rank(row: SummaryRow) -> tuple[bool, int, str]:
        return row.kind != "input", 0 if key == "name" else -MEASURES[key](row.cost), row.name

    cache: dict[SummaryRow, SummaryRow] = {}  # rows that occur several times are sorted once

    def sort_inner(row: SummaryRow) -> SummaryRow:
        if row not in cache:
            cache[row] = replace(row, inner=tuple(sorted(map(sort_inner, row.inner), key=sort_rank)))
        return cache[row]

    return tuple(sorted(map(sort_inner, rows), key=sort_rank))


def total_cost(rows: Iterable[SummaryRow]) -> Cost:
    return sum((row.cost for row in rows), NO_COST)

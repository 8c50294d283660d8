"""A model as rows: its steps, what comes out of each, what each takes, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from specbuild.diagnostics.errors import printable
from specbuild.ir.cost import Cost, Costs, still
from specbuild.ir.graph import Block, Node, Skip

NOTHING = Cost()

Key: TypeAlias = Literal["parameters", "multiply-adds", "memory", "name"]


@dataclass(frozen=True)
class Row:
    """One step, or several alike that follow each other: `times` of them, whose cost is taken together.

    A group whose members are of one kind is of that kind too; `members` counts them.
    """

    name: str
    what: str
    output: str
    cost: Cost = NOTHING
    inner: tuple[Row, ...] = ()
    times: int = 1
    members: int = 1
    numbers: str = ""  # of members that are all alike, and so told as one with their group: 0-2

    @property
    def part(self) -> str:
        """Its part of a path."""
        return f"{self.name}.{self.numbers}" if self.numbers else self.name

    @property
    def count(self) -> int:
        """How many of its kind stand here."""
        return self.times * self.members

    @property
    def kind(self) -> str:
        """What it is, and how many of it."""
        return f"{self.what} x{self.count}" if self.count > 1 else self.what


@dataclass
class Branch:
    """Nodes under a common name, on the way to rows."""

    node: Node | None = None
    inside: dict[str, Branch] = field(default_factory=dict)


def rows(model: Block) -> tuple[Row, ...]:
    """The inputs of a model, then its steps, each with what is in it."""
    inputs = (Row(name, "input", str(x)) for name, x in model.inputs.items())
    return (*inputs, *Rows().of(model))


class Rows:
    """Makes the rows of a model; a block instance that stands in many places is made once."""

    def __init__(self) -> None:
        self.costs = Costs()
        self.made: dict[int, tuple[Row, ...]] = {}

    def of(self, block: Block) -> tuple[Row, ...]:
        if id(block) not in self.made:
            top = Branch()
            for node in block.nodes:
                branch = top
                for part in node.name.split("."):
                    branch = branch.inside.setdefault(part, Branch())
                branch.node = node
            self.made[id(block)] = tuple(
                folded(self.row(name, branch, block) for name, branch in top.inside.items())
            )
        return self.made[id(block)]

    def row(self, name: str, branch: Branch, block: Block) -> Row:
        node = branch.node
        if node is not None:
            inner = self.of(node.op) if isinstance(node.op, Block) and not node.reuses else ()
            if still(node, block):
                inner = tuple(map(frozen, inner))
            return Row(name, what(node), printable(str(node.type)), self.costs.node(node, block), inner)
        members = tuple(folded(self.row(part, inside, block) for part, inside in branch.inside.items()))
        if len(members) == 1 and members[0].times > 1:
            return replace(members[0], name=name, numbers=members[0].name)
        kinds = {member.what for member in members}
        count = sum(member.count for member in members)
        total = sum((member.cost for member in members), NOTHING)
        alike = len(kinds) == 1 < count
        return Row(
            name,
            kinds.pop() if alike else "do",
            members[-1].output,
            total,
            members,
            members=count if alike else 1,
        )


def frozen(row: Row) -> Row:
    """A row of something frozen: all that is in it is too."""
    return replace(row, cost=row.cost.still, inner=tuple(map(frozen, row.inner)))


def what(node: Node) -> str:
    if isinstance(node.op, Skip):
        return "skipped"
    kind = node.op.kind if isinstance(node.op, Block) else node.op.name
    return f"{kind} ({node.reuses} again)" if node.reuses else kind


def folded(members: Iterable[Row]) -> Iterator[Row]:
    """Numbered rows that are equal but for their number, and follow each other, as one."""
    held: Row | None = None
    first = ""
    for row in members:
        if held is not None and row.name.isdigit() and alike(held, row):
            held = replace(held, times=held.times + 1, cost=held.cost + row.cost, name=f"{first}-{row.name}")
            continue
        if held is not None:
            yield held
        held, first = row, row.name
    if held is not None:
        yield held


def alike(held: Row, row: Row) -> bool:
    same = (held.what, held.output, held.inner) == (row.what, row.output, row.inner)
    return same and row.times == 1 and held.cost == row.cost * held.times and held.name[0].isdigit()


@dataclass(frozen=True)
class Placed:
    """A row where it stands: how deep, and under which path."""

    row: Row
    level: int
    path: str


def walk(found: Iterable[Row], depth: int | None, level: int = 0, above: str = "") -> Iterator[Placed]:
    """Rows in their places, `depth` levels in all; every level if None."""
    for row in found:
        path = f"{above}{row.part}"
        yield Placed(row, level, path)
        if depth is None or level + 1 < depth:
            yield from walk(row.inner, depth, level + 1, path + ".")


MEASURES: dict[str, Callable[[Cost], int]] = {
    "parameters": lambda cost: cost.parameters,
    "multiply-adds": lambda cost: cost.macs,
    "memory": lambda cost: cost.memory,
}


def ordered(found: Iterable[Row], key: Key) -> tuple[Row, ...]:
    """The rows of every level by name, or by what takes the most; the inputs stay first."""

    def rank(row: Row) -> tuple[bool, int, str]:
        return row.what != "input", 0 if key == "name" else -MEASURES[key](row.cost), row.name

    made: dict[int, Row] = {}  # rows that stand in many places are ordered once

    def inside(row: Row) -> Row:
        if id(row) not in made:
            made[id(row)] = replace(row, inner=tuple(sorted(map(inside, row.inner), key=rank)))
        return made[id(row)]

    held = tuple(found)  # keeps their ids their own
    return tuple(sorted(map(inside, held), key=rank))


def total(found: Iterable[Row]) -> Cost:
    return sum((row.cost for row in found), NOTHING)

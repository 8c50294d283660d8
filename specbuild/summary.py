"""A model as a table: its steps, what comes out of each, what each takes. Plain text; the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.cost import Cost, Costs
from specbuild.errors import printable
from specbuild.graph import Block, Node, Skip

HEADINGS = ("step", "op or block", "output", "parameters", "multiply-adds")
NUMBERS = (3, 4)  # the columns set to the right
NOTHING = Cost()


@dataclass(frozen=True)
class Row:
    """One step, or several alike that follow each other: `times` of them, whose cost is taken together."""

    name: str
    what: str
    output: str
    cost: Cost = NOTHING
    inner: tuple[Row, ...] = ()
    times: int = 1

    def cells(self, depth: int = 0) -> tuple[str, str, str, str, str]:
        what = f"{self.what} x{self.times}" if self.times > 1 else self.what
        return (
            "  " * depth + self.name,
            what,
            self.output,
            number(self.cost.parameters),
            number(self.cost.macs),
        )


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
            return Row(name, what(node), printable(str(node.type)), self.costs.node(node, block), inner)
        members = tuple(folded(self.row(part, inside, block) for part, inside in branch.inside.items()))
        if len(members) == 1 and members[0].times > 1:
            return replace(members[0], name=name)
        kinds = {member.what for member in members}
        count = sum(member.times for member in members)
        total = sum((member.cost for member in members), NOTHING)
        return Row(
            name,
            f"{kinds.pop()} x{count}" if len(kinds) == 1 < count else "do",
            members[-1].output,
            total,
            members,
        )


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


def walk(found: Iterable[Row], depth: int | None, level: int = 0) -> Iterator[tuple[Row, int]]:
    """Rows with their level, `depth` levels in all; every level if None."""
    for row in found:
        yield row, level
        if depth is None or level + 1 < depth:
            yield from walk(row.inner, depth, level + 1)


def summary(model: Block, depth: int | None = 2) -> str:
    """The table, and a line of totals."""
    found = rows(model)
    table = [HEADINGS, *(row.cells(level) for row, level in walk(found, depth))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(w) if i in NUMBERS else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join([*lines, "", *totals(model, sum((row.cost for row in found), NOTHING))]) + "\n"


def totals(model: Block, total: Cost) -> list[str]:
    """What the whole takes, and what comes out if there are several outputs."""
    named = [f"{name}: {output.type}" for name, output in model.outputs.items() if name]
    kept = f" (and {total.buffers:,} in running statistics)" if total.buffers else ""
    told = f"{model.kind}: {total.parameters:,} parameters{kept}, {short(total.macs)} multiply-adds"
    return [f"{told} a sample", *([printable(f"outputs: {', '.join(named)}")] if named else [])]


def number(n: int) -> str:
    """With thousands apart; nothing for none."""
    return f"{n:,}" if n else ""


def short(n: int) -> str:
    """Three digits and a unit: 4.09 G."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n:,}"


def record(row: Row) -> dict[str, Any]:
    """A row for JSON, with all that is in it."""
    return {
        "name": row.name,
        "kind": row.what,
        "output": row.output,
        "times": row.times,
        "parameters": row.cost.parameters,
        "buffers": row.cost.buffers,
        "multiply_adds": row.cost.macs,
        "activations": row.cost.activations,
        "steps": [record(inner) for inner in row.inner],
    }

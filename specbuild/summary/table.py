"""A model's rows as columns of text: numbers apart, sizes of memory, each share of the whole as a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from specbuild.diagnostics.errors import printable
from specbuild.ir.cost import Cost, families
from specbuild.ir.graph import Block
from specbuild.summary.rows import MEASURES, Key, Placed, Row, total, walk

LEFT = ("step", "op or block", "output")
NUMBERS = ("parameters", "multiply-adds", "memory")
BAR = 8  # cells of a bar that is full
EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Table:
    """What `show` tells of a model, before it is laid out for a terminal, a page or a file."""

    model: Block
    rows: tuple[Row, ...]
    depth: int | None
    sort: Key | None = None

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        return tuple(walk(self.rows, self.depth))

    @cached_property
    def total(self) -> Cost:
        return total(self.rows)

    @cached_property
    def measure(self) -> str:
        """What the shares are of: what the rows are sorted by, else multiply-adds, or what the model has of the others."""
        wished = () if self.sort in (None, "name") else (str(self.sort),)
        order = (*wished, "multiply-adds", "parameters", "memory")
        return next((name for name in order if MEASURES[name](self.total)), "memory")

    @property
    def headings(self) -> tuple[str, ...]:
        return (*LEFT, *NUMBERS, f"of {self.measure}")

    def share(self, cost: Cost) -> float:
        whole = MEASURES[self.measure](self.total)
        return MEASURES[self.measure](cost) / whole if whole else 0.0

    def cells(self, placed: Placed) -> tuple[str, ...]:
        row = placed.row
        return (
            "  " * placed.level + row.name,
            row.kind,
            row.output,
            *numbers(row.cost),
            bar(self.share(row.cost)),
        )

    @cached_property
    def families(self) -> list[tuple[str, ...]]:
        """A heading, and a row for each family of ops."""
        table: list[tuple[str, ...]] = [("family of ops", "steps", *NUMBERS, f"of {self.measure}")]
        for name, share in families(self.model).items():
            table.append((name, number(share.steps), *numbers(share.cost), bar(self.share(share.cost))))
        return table

    @cached_property
    def totals(self) -> list[str]:
        """What the whole takes, and what comes out if there are several outputs."""
        named = [f"{name}: {output.type}" for name, output in self.model.outputs.items() if name]
        kept = f" (and {self.total.buffers:,} in running statistics)" if self.total.buffers else ""
        still = f", of which {self.total.frozen:,} frozen" if self.total.frozen else ""
        told = (
            f"{self.model.kind}: {self.total.parameters:,} parameters{still}{kept}, "
            f"{short(self.total.macs)} multiply-adds and {memory(self.total.memory)} of activations a sample"
        )
        return [told, *([printable(f"outputs: {', '.join(named)}")] if named else [])]

    @property
    def hidden(self) -> bool:
        """Whether there is more inside than is shown."""
        return any(p.row.inner for p in self.placed if p.level + 1 == self.depth)

    def text(self) -> str:
        steps = laid([self.headings, *map(self.cells, self.placed)], len(LEFT))
        return "\n".join([*steps, "", *laid(self.families, 1), "", *self.totals]) + "\n"


def laid(table: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows as lines: the first columns and the last are set to the left, the numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    last = len(widths) - 1
    lines = [
        "  ".join(
            cell.rjust(w) if left <= i < last else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return [lines[0], "-" * (sum(widths) + 2 * last), *lines[1:]]


def numbers(cost: Cost) -> tuple[str, str, str]:
    return number(cost.parameters), number(cost.macs), memory(cost.memory)


def number(n: int) -> str:
    """With thousands apart; nothing for none."""
    return f"{n:,}" if n else ""


def short(n: int) -> str:
    """Three digits and a unit: 4.09 G."""
    return scaled(n, (("T", 10**12), ("G", 10**9), ("M", 10**6))) or f"{n:,}"


def memory(n: int) -> str:
    """Bytes in three digits and a unit: 95.3 MiB; nothing for none."""
    return scaled(n, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))) or (
        f"{n} B" if n else ""
    )


def scaled(n: int, units: Iterable[tuple[str, int]]) -> str:
    for unit, size in units:
        if n >= size:
            told = f"{n / size:.3g}" if n < 999.5 * size else f"{n / size:.0f}"
            return f"{told} {unit}"
    return ""


def percent(share: float) -> str:
    """In whole hundredths; what is little is not none, and what is less than all is not all."""
    if not share:
        return ""
    if share < 0.005:
        return "<1%"
    return f"{min(round(100 * share), 99 if share < 1 else 100)}%"


def bar(share: float) -> str:
    """A share as a number and a bar, in eighths of a cell."""
    eighths = round(share * BAR * 8)
    full, rest = divmod(max(eighths, 1 if share else 0), 8)
    return f"{percent(share):>4} {'█' * full}{EIGHTHS[rest] if rest else ''}".rstrip()

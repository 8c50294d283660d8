"""The summary of a model as a table of text, and the formats of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from specbuild.diagnostics.errors import make_printable
from specbuild.ir.cost import Cost, family_costs
from specbuild.ir.graph import Block
from specbuild.summary.rows import MEASURES, PlacedRow, SortKey, SummaryRow, total_cost, walk_rows

TEXT_COLUMNS = ("step", "op or block", "output")
NUMBER_COLUMNS = ("parameters", "multiply-adds", "memory")
BAR_CELLS = 8  # the width of a full bar, in characters
FREE_SIZES_NOTE = "* this size can be any; all numbers are for the one given here"
EIGHTHS = " ▏▎▍▌▋▊▉█"


class SummaryTable(Struct, frozen=True, dict=True):
    """The summary that `show` prints, independent of the output format."""

    model: Block
    rows: tuple[SummaryRow, ...]
    depth: int | None
    sort: SortKey | None = None

    @cached_property
    def placed_rows(self) -> tuple[PlacedRow, ...]:
        return tuple(walk_rows(self.rows, self.depth))

    @cached_property
    def total_cost(self) -> Cost:
        return total_cost(self.rows)

    @cached_property
    def share_measure(self) -> str:
        """The measure for shares: the one that rows are sorted by, else the first one that is not zero."""
        preferred = () if self.sort in (None, "name") else (str(self.sort),)
        order = (*preferred, "multiply-adds", "parameters", "memory")
        return next((name for name in order if MEASURES[name](self.total_cost)), "memory")

    @property
    def column_headings(self) -> tuple[str, ...]:
        return (*TEXT_COLUMNS, *NUMBER_COLUMNS, f"of {self.share_measure}")

    def cost_share(self, cost: Cost) -> float:
        whole = MEASURES[self.share_measure](self.total_cost)
        return MEASURES[self.share_measure](cost) / whole if whole else 0.0

    def row_cells(self, placed: PlacedRow) -> tuple[str, ...]:
        row = placed.row
        return (
            "  " * placed.level + row.name,
            row.kind_and_count,
            row.marked_output,
            *cost_cells(row.cost),
            format_bar(self.cost_share(row.cost)),
        )

    @cached_property
    def family_rows(self) -> list[tuple[str, ...]]:
        """The headings, and a row for each op family."""
        table: list[tuple[str, ...]] = [
            ("family of ops", "steps", *NUMBER_COLUMNS, f"of {self.share_measure}")
        ]
        for name, share in family_costs(self.model).items():
            table.append(
                (
                    name,
                    format_count(share.steps),
                    *cost_cells(share.cost),
                    format_bar(self.cost_share(share.cost)),
                )
            )
        return table

    @cached_property
    def total_lines(self) -> list[str]:
        """The total cost in words, and the outputs if there are several."""
        named = [
            f"{name}: {output.describe(self.model)}" for name, output in self.model.outputs.items() if name
        ]
        buffers = (
            f" (and {self.total_cost.buffers:,} in running statistics)" if self.total_cost.buffers else ""
        )
        frozen = f", of which {self.total_cost.frozen:,} frozen" if self.total_cost.frozen else ""
        totals = (
            f"{self.model.name}: {self.total_cost.parameters:,} parameters{frozen}{buffers}, "
            f"{format_quantity(self.total_cost.macs)} multiply-adds "
            f"and {format_memory(self.total_cost.memory)} of activations per sample"
        )
        lines = [totals, *([make_printable(f"outputs: {', '.join(named)}")] if named else [])]
        return [*lines, FREE_SIZES_NOTE] if self.model.free_axes else lines

    @property
    def has_hidden_rows(self) -> bool:
        """Whether some rows are too deep to be shown."""
        return any(placed.row.inner for placed in self.placed_rows if placed.level + 1 == self.depth)

    def render_text(self) -> str:
        steps = align_columns(
            [self.column_headings, *map(self.row_cells, self.placed_rows)], len(TEXT_COLUMNS)
        )
        return "\n".join([*steps, "", *align_columns(self.family_rows, 1), "", *self.total_lines]) + "\n"


def align_columns(table: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows as lines of text: the first `left` columns and the last one aligned left, the others right."""
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


def cost_cells(cost: Cost) -> tuple[str, str, str]:
    return format_count(cost.parameters), format_count(cost.macs), format_memory(cost.memory)


def format_count(n: int) -> str:
    """Return a number with thousands separators; "" for 0."""
    return f"{n:,}" if n else ""


def format_quantity(n: int) -> str:
    """Return a number with three digits and a unit: 4.09 G."""
    return format_scaled(n, (("T", 10**12), ("G", 10**9), ("M", 10**6))) or f"{n:,}"


def format_memory(n: int) -> str:
    """Return bytes with three digits and a unit: 95.3 MiB; "" for 0."""
    return format_scaled(n, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))) or (
        f"{n} B" if n else ""
    )


def format_scaled(n: int, units: Iterable[tuple[str, int]]) -> str:
    for unit, size in units:
        if n >= size:
            digits = f"{n / size:.3g}" if n < 999.5 * size else f"{n / size:.0f}"
            return f"{digits} {unit}"
    return ""


def format_percent(share: float) -> str:
    """Return a share as a whole percentage: "" for 0, `<1%` below half a percent, and 100% only for the whole."""
    if not share:
        return ""
    if share < 0.005:
        return "<1%"
    return f"{min(round(100 * share), 99 if share < 1 else 100)}%"


def format_bar(share: float) -> str:
    """Return a share as a percentage, and a bar in steps of an eighth of a character."""
    eighths = round(share * BAR_CELLS * 8)
    full, rest = divmod(max(eighths, 1 if share else 0), 8)
    return f"{format_percent(share):>4} {'█' * full}{EIGHTHS[rest] if rest else ''}".rstrip()

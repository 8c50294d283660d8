"""What a model is made of, as people read it: rows of steps, tables, formats, the values that can be tapped."""

from __future__ import annotations

from specbuild.ir.graph import Block
from specbuild.summary.rows import Key, ordered, rows
from specbuild.summary.table import Table, short

__all__ = ["Key", "rows", "short", "summary"]


def summary(model: Block, depth: int | None = 2, sort: Key | None = None) -> str:
    """The table of a model, what each family of ops takes, and a line of totals. Plain text; the same everywhere."""
    found = rows(model)
    return Table(model, ordered(found, sort) if sort else found, depth, sort).text()

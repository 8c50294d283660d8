"""What a model is made of, as people read it: rows of steps, tables, formats, the values that can be tapped."""

from __future__ import annotations

from specbuild.ir.graph import Block
from specbuild.summary.rows import SortKey, sort_rows, summary_rows
from specbuild.summary.table import SummaryTable, format_quantity

__all__ = ["SortKey", "format_quantity", "summarize_model", "summary_rows"]


def summarize_model(model: Block, depth: int | None = 2, sort: SortKey | None = None) -> str:
    """The table of a model, what each family of ops takes, and a line of totals. Plain text; the same everywhere."""
    found_rows = summary_rows(model)
    return SummaryTable(model, sort_rows(found_rows, sort) if sort else found_rows, depth, sort).render_text()

"""Summaries of a model: rows, tables, export formats, and its intermediate values (taps)."""

from __future__ import annotations

from specbuild.ir.graph import Block
from specbuild.summary.rows import SortKey, sort_rows, summary_rows
from specbuild.summary.table import SummaryTable, format_quantity

__all__ = ["SortKey", "format_quantity", "summarize_model", "summary_rows"]


def summarize_model(model: Block, depth: int | None = 2, sort: SortKey | None = None) -> str:
    """Summarize a model as plain text: a table of its steps, a table of op families, and a line of totals."""
    rows = summary_rows(model)
    return SummaryTable(model, sort_rows(rows, sort) if sort else rows, depth, sort).render_text()

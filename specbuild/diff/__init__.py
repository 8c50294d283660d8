"""What became of one model in another: its steps, its wiring, its sizes, its trained weights."""

from __future__ import annotations

from specbuild.diff.drawable import Diff, diff
from specbuild.diff.report import document, report

__all__ = ["Diff", "diff", "document", "report"]

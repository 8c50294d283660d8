"""Compare two models: their steps, wiring, sizes and trained weights."""

from __future__ import annotations

from specbuild.diff.model_diff import Diff, diff_models
from specbuild.diff.report import diff_document, report_lines

__all__ = ["Diff", "diff_document", "diff_models", "report_lines"]

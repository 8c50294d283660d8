"""Sums over values of unlike shapes in Keras on TensorFlow, which takes some summands for biases: with every batch."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.frontend.source import Source
from specbuild.parity.compare import ParityCase, ParityReport, compare_cases

MAPS = "{x: {C: 4, H: 8, W: 8}, y: {C: 4, H: 8, W: 8}}"
COLUMNS = "- mean: {over: [C, H]}\n  from: x\n  as: columns"
ROWS = "- mean: {over: [C, W]}\n  from: x\n  as: rows"
WHOLE = "- mean: {over: [C, H, W]}\n  from: x\n  as: whole"
TABLE = "- weight: {axes: {W: 8}}\n  as: table"
SUMS = {
    "between": (TABLE, "add: {of: [x, table, y], broadcast: true}"),
    "average": (TABLE, "average: {of: [x, table], broadcast: true}"),
    "columns": (COLUMNS, "add: {of: [x, columns, y], broadcast: true}"),
    "columns_first": (COLUMNS, "add: {of: [columns, x], broadcast: true}"),
    "crossed": (f"{COLUMNS}\n{ROWS}", "add: {of: [columns, rows], broadcast: true}"),
    "crossed_again": (f"{COLUMNS}\n{ROWS}", "add: {of: [rows, columns], broadcast: true}"),
    "a_number_each": (WHOLE, "add: {of: [x, whole], broadcast: true}"),
    "numbers": (f"{WHOLE}\n{ROWS}", "add: {of: [rows, whole], broadcast: true}"),
}
BATCHES = (1, 2, 4, 8)  # sizes of axes among them


def text(before: str, last: str) -> str:
    steps = "".join(f"  {line}\n" for line in f"{before}\n- {last}".splitlines())
    return f"specbuild: 1\nmodel: Net\ninputs: {MAPS}\nsteps:\n{steps}"


@pytest.fixture(scope="module")
def reports() -> dict[str, ParityReport]:
    models = {name: build_graph(Source(text(*sum_))) for name, sum_ in SUMS.items()}
    cases = [ParityCase(f"{n} {batch}", m, batch=batch) for n, m in models.items() for batch in BATCHES]
    return {report.name: report for report in compare_cases(cases)}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", SUMS)
def test_no_summand_is_a_bias(name: str, batch: int, reports: dict[str, ParityReport]) -> None:
    report = reports[f"{name} {batch}"]
    assert report.is_equal, str(report)

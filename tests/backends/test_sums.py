"""Sums over values of unlike shapes in Keras on TensorFlow, which takes some summands for biases: with every batch."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.frontend.source import Source
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

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


def sum_case(name: str, batch: int) -> ParityCase:
    return ParityCase(f"{name} {batch}", build_graph(Source(text(*SUMS[name]))), batch=batch)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", SUMS)
def test_no_summand_is_a_bias(name: str, batch: int, parity_of: ParityOf) -> None:
    report = parity_of(sum_case)
    assert report.is_equal, str(report)

"""Parity sees a fault in each op: a mutant of every step of a spec, all in one run."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ir.graph import Block
from specbuild.parity.compare import ParityCase
from tests.parity.mutants.each_op_table import EACH_OP, TOGETHER
from tests.parity_runner import ParityOf

SPEC = Path(__file__).with_name("mutants") / "each_op.yaml"


@cache
def whole_model() -> Block:
    return build_graph(SPEC)


def whole_ops() -> ParityCase:
    return ParityCase("each_op", whole_model(), modes=("forward",))


def broken_ops() -> ParityCase:
    head, body = compile_source(whole_model(), "torch").split("class EachOp")
    mutants = dict(EACH_OP.values())
    for name, (code, _) in EACH_OP.items():
        assert body.count(code) == 1, f"{name}: {code!r} is not there once"
    new = re.sub("|".join(map(re.escape, mutants)), lambda found: mutants[found[0]], body)
    return ParityCase(
        "broken_ops", whole_model(), modes=("forward",), sources={"torch": f"{head}class EachOp{new}"}
    )


def test_every_result_has_a_mutant() -> None:
    assert {f"{name}_out" for name in {*EACH_OP, *TOGETHER}} == {*whole_model().outputs}


@pytest.mark.slow
def test_whole_file_is_equal(parity_of: ParityOf) -> None:
    report = parity_of(whole_ops)
    assert report.is_equal, str(report)


@pytest.mark.slow
def test_each_mutant_is_found_out(parity_of: ParityOf) -> None:
    report = parity_of(broken_ops)
    assert not report.error, report.error
    found = {difference.path for difference in report.failing_differences("output")}
    assert found == {*whole_model().outputs}

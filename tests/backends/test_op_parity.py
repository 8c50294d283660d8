"""Every op through its emitted files: PyTorch against Keras, outputs and gradients."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.backends.ops
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase, ParityReport, compare_cases

TABLES = [
    importlib.import_module(f"tests.backends.ops.{m.name}")
    for m in pkgutil.iter_modules(tests.backends.ops.__path__)
]
CASES = {name: case for table in TABLES for name, case in table.CASES.items()}
# TensorFlow has no float64 for them on a CPU
SINGLE = {name for table in TABLES for name in getattr(table, "SINGLE", ())}


def text(inputs: str, steps: str) -> str:
    indented = "\n".join("  " + line for line in steps.splitlines())
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\nsteps:\n{indented}\n"


def dtype(name: str) -> str:
    return "float32" if name in SINGLE else "float64"


def test_names_are_unique() -> None:
    assert len(CASES) == sum(len(table.CASES) for table in TABLES), "two cases have the same name"


@pytest.fixture(scope="module")
def reports() -> dict[str, ParityReport]:
    cases = [ParityCase(name, build_graph(text(*case)), dtype=dtype(name)) for name, case in CASES.items()]
    return {report.name: report for report in compare_cases(cases)}


@pytest.mark.parametrize("name", CASES)
def test_op(name: str, reports: dict[str, ParityReport]) -> None:
    report = reports[name]
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.fixture(scope="module")
def on_pytorch() -> dict[str, ParityReport]:
    cases = [ParityCase(name, build_graph(text(*case)), dtype="float32") for name, case in CASES.items()]
    return {report.name: report for report in compare_cases(cases, runtime="torch")}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_op_with_keras_on_pytorch(name: str, on_pytorch: dict[str, ParityReport]) -> None:
    report = on_pytorch[name]
    assert report.is_equal, str(report)

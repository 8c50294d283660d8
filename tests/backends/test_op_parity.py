"""Every op through its emitted files: PyTorch against Keras, outputs and gradients."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.backends.ops
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase
from specbuild.runtimes.jobs import DType
from tests.parity_runner import ParityOf

TABLES = [
    importlib.import_module(f"tests.backends.ops.{m.name}")
    for m in pkgutil.iter_modules(tests.backends.ops.__path__)
]
CASES = {name: case for table in TABLES for name, case in table.CASES.items()}
# TensorFlow has no float64 for them on a CPU
SINGLE = {name for table in TABLES for name in getattr(table, "SINGLE", ())}


# One case of each table is in the quick tests.
FIRST = {next(iter(table.CASES)) for table in TABLES}
NAMES = [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in CASES]


def text(inputs: str, steps: str) -> str:
    indented = "\n".join("  " + line for line in steps.splitlines())
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\nsteps:\n{indented}\n"


def dtype(name: str) -> DType:
    return "float32" if name in SINGLE else "float64"


def test_names_are_unique() -> None:
    assert len(CASES) == sum(len(table.CASES) for table in TABLES), "two cases have the same name"


def op_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(text(*CASES[name])), dtype=dtype(name))


def float32_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(text(*CASES[name])), dtype="float32")


@pytest.mark.parametrize("name", NAMES)
def test_op(name: str, parity_of: ParityOf) -> None:
    report = parity_of(op_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_op_with_keras_on_pytorch(name: str, parity_of: ParityOf) -> None:
    report = parity_of(float32_case, runtime="torch")
    assert report.is_equal, str(report)

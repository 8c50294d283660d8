"""Every op through its emitted files: PyTorch against Keras, outputs and gradients."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.backends.ops
from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.codegen.model_lowering import lower_model
from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.compare import ParityCase
from specbuild.parity.participants import select_lineup
from specbuild.runtimes.jobs import DType, Mode
from tests.parity_runner import BACKENDS, ParityOf

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
    model = build_graph(text(*CASES[name]))
    for backend in BACKENDS:
        if backend not in BACKEND_NAMES:
            lower_model(model, load_backend(backend))  # raises SB601
    wanted: tuple[Mode, ...] = ("forward", "gradients")
    modes = tuple(mode for mode in wanted if mode in select_lineup([], BACKENDS).modes)
    return ParityCase(name, model, dtype=dtype(name), modes=modes)


def float32_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(text(*CASES[name])), dtype="float32")


@pytest.mark.parametrize("name", NAMES)
def test_op(name: str, parity_of: ParityOf) -> None:
    try:
        report = parity_of(op_case)
    except SpecError as error:
        if error.code != "SB601" or BACKENDS == BACKEND_NAMES:
            raise
        pytest.skip(error.message)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.mark.slow
@pytest.mark.skipif(BACKENDS != BACKEND_NAMES, reason="it is about Keras")
@pytest.mark.parametrize("name", CASES)
def test_op_with_keras_on_pytorch(name: str, parity_of: ParityOf) -> None:
    report = parity_of(float32_case, runtime="torch")
    assert report.is_equal, str(report)

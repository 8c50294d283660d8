"""Does parity see what it is there to see? Emitted files are broken, one place at a time; every one must be found
out, and the step named where it was broken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from specbuild import backends
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.convolution import Conv, Linear
from specbuild.ops.recurrent import Gru, Lstm
from specbuild.parity.compare import ParityCase
from specbuild.runtimes.jobs import Mode
from tests.parity.mutants.carried_table import CARRIED
from tests.parity.mutants.table import FORWARD, GRADIENTS, TRAINING, Mutant
from tests.parity_runner import ParityOf, PatchedCase

HERE = Path(__file__).with_name("mutants")
OF_OUTPUTS = FORWARD | CARRIED
TEXTS = OF_OUTPUTS | TRAINING | GRADIENTS


def stored(op: type[Op], change: Callable[[LoweringResult], LoweringResult]) -> AbstractContextManager[Any]:
    """Keras' table with another idea of where the weights of an op are kept."""
    table = backends.load_backend("keras").writers
    write = table[op]
    return mock.patch.dict(table, {op: lambda *args, **more: change(write(*args, **more))})


def kernel(result: LoweringResult, name: str = "kernel", **fields: Any) -> LoweringResult:
    weights = {n: replace(s, **fields) if n == name else s for n, s in result.weights.items()}
    return replace(result, weights=weights)


def square(result: LoweringResult) -> LoweringResult:
    """A kernel that is not transposed, where that goes unnoticed by its shape: of the linear map from 8 to 8."""
    return kernel(result, order=(0, 1)) if is_square(result) else result


def is_square(result: LoweringResult) -> bool:
    made: Any = result.member
    return any(getattr(a.value, "value", None) == 8 for a in made.arguments)


# name: spec, the patched table, the step; both files are whole, but weights are kept in another form
TABLES: dict[str, tuple[str, Callable[[], AbstractContextManager[Any]], str]] = {
    "keras_kernel_transposed": ("vision", lambda: stored(Linear, square), "body.0.excite"),
    "keras_window_transposed": (
        "vision",
        lambda: stored(Conv, lambda r: kernel(r, order=(3, 2, 1, 0)) if r.weights["kernel"].order else r),
        "stem",
    ),
    "keras_gates_of_gru": ("sequence", lambda: stored(Gru, lambda r: kernel(r, gate_order=None)), "second"),
    "keras_gates_of_lstm": (
        "sequence",
        lambda: stored(Lstm, lambda r: kernel(r, gate_order=(0, 2, 1, 3))),
        "reader",
    ),
    "keras_recurrent_gates_of_lstm": (
        "sequence",
        lambda: stored(Lstm, lambda r: kernel(r, "recurrent_kernel", gate_order=(1, 0, 2, 3))),
        "reader",
    ),
}


@cache
def whole_model(spec: str) -> Block:
    return build_graph(HERE / f"{spec}.yaml")


@cache
def whole_source(spec: str, backend: str) -> str:
    return compile_source(whole_model(spec), backend)


def traced_case(name: str, spec: str, modes: tuple[Mode, ...], **sources: str) -> ParityCase:
    return ParityCase(name, whole_model(spec), modes=modes, sources=sources, steps=True, calibrate=True)


def whole_case(name: str) -> ParityCase:
    return traced_case(name, name, ("forward", "gradients", "train"))


def mutant_case(name: str) -> ParityCase | PatchedCase:
    if name in TABLES:
        spec, patch, _ = TABLES[name]
        return PatchedCase(traced_case(name, spec, ("forward",)), patch())
    m = TEXTS[name]
    source = whole_source(m.spec, m.backend)
    assert source.count(m.old) == 1, f"{name}: {m.old!r} is not there once"
    mode: Mode = "forward" if name in OF_OUTPUTS else "gradients" if name in GRADIENTS else "train"
    return traced_case(name, m.spec, (mode,), **{m.backend: source.replace(m.old, m.new)})


def step(name: str) -> str:
    found: Mutant | tuple[str, Any, str] = TEXTS[name] if name in TEXTS else TABLES[name]
    return found[-1]


def test_enough() -> None:
    assert len(TEXTS) + len(TABLES) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vision", "sequence", "lookup", "carried"])
def test_whole_files_are_equal(name: str, parity_of: ParityOf) -> None:
    report = parity_of(whole_case)
    assert report.is_equal, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TEXTS, *TABLES])
def test_mutant_is_found_out(name: str, parity_of: ParityOf) -> None:
    report = parity_of(mutant_case)
    assert not report.is_equal, str(report)
    broken = report.first_nan_step()
    assert (broken.path if broken else report.first_failing_step()) == step(name), str(report)

"""Rounding and errors, told apart in a type below float64: a tie that flips is `rounded`, a wrong convention differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from specbuild import backends
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.frontend.source import Source
from specbuild.parity import tolerance
from specbuild.parity.compare import ParityCase, WorkerOptions
from specbuild.parity.difference import Difference
from specbuild.parity.exchange import round_to_dtype
from specbuild.parity.json_report import result_record
from specbuild.parity.notes import format_notes
from specbuild.parity.participants import select_lineup
from specbuild.parity.result import ParityResult
from specbuild.parity.tables import summary_table
from specbuild.parity.tolerance import EXACT, Tolerance, choose_tolerance
from specbuild.runtimes.jobs import MODES, DType
from tests.parity.mutants.table import FORWARD, GRADIENTS, TRAINING
from tests.parity.test_mutants import whole_model, whole_source
from tests.parity.test_parity import ROOT
from tests.parity_runner import ParityOf

TIE = Source("""\
specbuild: 1
model: Tie
inputs: {a: {C: 4}, b: {C: 4}, c: {C: 4}}
steps:
  - add: [a, b, c]
    as: sum
  - relu:
    as: cut
  - linear: {features: 2}
    as: head
""")
SUM = {"torch": "a + b + c", "keras": "a + b + c"}
MUTANTS = (
    *("torch_epsilon_forgotten", "keras_epsilon", "torch_padding_side", "keras_padding_mode"),
    *("torch_gelu_form", "keras_gelu_form", "torch_momentum", "keras_momentum", "keras_branch_detached"),
)


def tie(name: str, dtype: DType = "float32", **other: str) -> ParityCase:
    """1 + 2**-30 - 1 is above zero; float32 sees that in one order of the sum only, and beside it ReLU has no slope.

    `other` are words that take the place of the sum, by backend.
    """
    model = build_graph(TIE)
    texts = {backend: compile_source(model, backend) for backend in backends.BACKEND_NAMES}
    for backend, new in other.items():
        assert texts[backend].count(SUM[backend]) == 1
        texts[backend] = texts[backend].replace(SUM[backend], new)
    ones = np.ones((2, 4))
    inputs = {"a": ones.copy(), "b": -ones, "c": np.full((2, 4), 2.0**-30)}
    inputs["a"][:, 1:] = 3.0  # only the first feature is a tie
    return ParityCase(name, model, inputs=inputs, dtype=dtype, modes=MODES, sources=texts, steps=True)


POOLED = Source("""\
specbuild: 1
model: Pooled
inputs: {a: {C: 4}}
steps:
  - batch_norm
  - linear: {features: 2}
""")


def pooled(name: str, **other: str) -> ParityCase:
    """Two samples that are nearly equal, far from zero: Keras on PyTorch loses the digits of their variance."""
    model = build_graph(POOLED)
    texts = {backend: compile_source(model, backend) for backend in backends.BACKEND_NAMES}
    for backend, word in other.items():
        old, new = word.split(" -> ")
        assert texts[backend].count(old) == 1
        texts[backend] = texts[backend].replace(old, new)
    inputs = {"a": 8 + 0.03 * np.random.default_rng(0).normal(size=(2, 4))}
    return ParityCase(name, model, inputs=inputs, dtype="float32", modes=MODES, sources=texts, steps=True)


TIES: dict[str, tuple[DType, dict[str, str]]] = {
    "no flip": ("float32", {}),
    "torch flips": ("float32", {"torch": "a + c + b"}),
    "keras flips": ("float32", {"keras": "a + c + b"}),
    "flips and decides": ("float64", {"keras": "a + c + b"}),
    "flips, and an error": ("float32", {"torch": "a + c - b"}),
    "half flips": ("bfloat16", {"keras": "a + c + b"}),
}


def rounding_case(name: str) -> ParityCase:
    """A tie, the spec with frozen parts, the whole spec of the mutants, or a mutant of it."""
    if name in TIES:
        dtype, others = TIES[name]
        return tie(name, dtype, **others)
    if name == "frozen":
        model = build_graph(ROOT / "specs" / "frozen.yaml")
        return ParityCase(name, model, dtype="float32", modes=("train",), steps=True, calibrate=True)
    sources = {backend: whole_source("vision", backend) for backend in backends.BACKEND_NAMES}
    if name != "whole":
        m = (FORWARD | TRAINING | GRADIENTS)[name]
        sources[m.backend] = sources[m.backend].replace(m.old, m.new)
    return ParityCase(
        name,
        whole_model("vision"),
        dtype="float32",
        modes=MODES,
        sources=sources,
        steps=True,
        calibrate=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no flip", "flips and decides", "frozen", "whole"])
def test_nothing_to_tell_apart(name: str, parity_of: ParityOf) -> None:
    report = parity_of(rounding_case)
    assert report.worst_verdict == "equal", str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch flips", "keras flips", "half flips"])
def test_a_tie_that_flips_is_rounded(name: str, parity_of: ParityOf) -> None:
    report = parity_of(rounding_case)
    assert report.is_equal and report.worst_verdict == "rounded", str(report)
    found = {d.key: d for d in report.differences_with("rounded")}
    assert {"gradient:a", "gradient:b", "gradient:c"} <= set(found)
    d = found["gradient:a"]
    assert d.reference_error is not None and d.other_error is not None
    near, far = sorted((d.reference_error, d.other_error))
    assert near < 1e-2 and far == pytest.approx(d.relative, rel=1e-2)
    if name == "torch flips":
        assert d.reference_error == far and not d.sensitivity  # PyTorch itself has flipped
    else:
        assert (
            d.other_error == far and d.sensitivity > d.relative / 3
        )  # the reference flips when it is perturbed
    # what does not lie at the tie is judged as ever
    assert {x.key for x in report.differences if x.kind in ("output", "step")}.isdisjoint(found)


@pytest.mark.slow
def test_an_error_beside_a_tie_still_fails(parity_of: ParityOf) -> None:
    report = parity_of(rounding_case, name="flips, and an error")
    assert not report.is_equal and report.first_failing_step() == "sum"


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_in_float32(name: str, parity_of: ParityOf) -> None:
    report = parity_of(rounding_case)
    assert not report.is_equal and report.worst_verdict == "differs"
    assert report.first_failing_step() == (FORWARD | TRAINING | GRADIENTS)[name].step
    worst = max(report.failing_differences(), key=lambda d: d.relative)
    assert worst.reference_error is not None and worst.reference_error < worst.relative / 100


LOSSY = {
    "whole": "",
    "momentum": "momentum=0.9 -> momentum=0.99",
    "epsilon": "epsilon=1e-5 -> epsilon=1e-3",
    "statistics": 'name="batch_norm" -> name="batch_norm", trainable=False',
}


def lossy_case(name: str) -> ParityCase:
    """Keras on PyTorch takes the variance of a batch as the mean of squares less the square of the mean."""
    return pooled(name, **({"keras": LOSSY[name]} if LOSSY[name] else {}))


def test_digits_that_keras_loses_are_rounded(parity_of: ParityOf) -> None:
    report = parity_of(lossy_case, runtime="torch", name="whole")
    assert report.is_equal and report.worst_verdict == "rounded", str(report)
    found = {d.key: d for d in report.differences_with("rounded")}
    d = found["trained_gradient:a"]
    assert d.relative > 0.1 and d.reference_error is not None and d.reference_error < 1e-2
    assert d.sensitivity < d.relative / 3 < d.other_sensitivity
    assert {x.kind for x in found.values()}.isdisjoint({"output", "step"})
    notes = "\n".join(format_notes(ParityResult("pooled.yaml", pooled("x"), [report], WorkerOptions())))
    assert "in their last digit" in notes and "; Keras changes by" in notes


@pytest.mark.parametrize(
    "name, kind", [("momentum", "statistic"), ("epsilon", "step"), ("statistics", "trained_output")]
)
def test_an_error_beside_lost_digits_still_fails(name: str, kind: str, parity_of: ParityOf) -> None:
    report = parity_of(lossy_case, runtime="torch")
    assert not report.is_equal and report.first_failing_step() == "batch_norm", str(report)
    assert kind in {d.kind for d in report.failing_differences()}


@pytest.mark.slow
def test_what_is_told_of_it(parity_of: ParityOf) -> None:
    reports = [parity_of(rounding_case, name=name) for name in ("no flip", "keras flips")]
    result = ParityResult("tie.yaml", tie("x"), reports, WorkerOptions())
    assert result.verdict == "rounded" and result.parity_error() is None
    [row] = summary_table([result]).rows
    assert row[-1] == "rounded" and int(row[-2]) == len(result.rounded_differences) > 0
    notes = "\n".join(format_notes(result))
    assert (
        "float64 decides, on a runtime that does not round it" in notes
        and "PyTorch error" in notes
        and "float64 changes by" in notes
    )
    record = result_record(result)
    assert record["rounded"] == len(result.rounded_differences)
    [told] = [t for t in record["tensors"] if t["kind"] == "gradient" and t["path"] == "a"]
    assert (
        told["verdict"] == "rounded"
        and told["reference_sensitivity"] > 0
        and told["reference_error"] < told["other_error"]
    )


SCARCE = Source("""\
specbuild: 1
model: Scarce
inputs: {a: {C: 8}}
steps:
  - linear: {features: 8}
  - batch_norm:
  - silu:
  - linear: {features: 8}
  - batch_norm:
  - silu:
  - linear: {features: 8}
  - batch_norm:
  - linear: {features: 2}
""")


def scarce_case(name: str) -> ParityCase:
    """Statistics of two nearly equal values: in training, float64 keeps few digits of the gradients."""
    model = build_graph(SCARCE)
    texts = {backend: compile_source(model, backend) for backend in backends.BACKEND_NAMES}
    if name in ("momentum", "epsilon"):
        old, new = LOSSY[name].split(" -> ")
        assert texts["keras"].count(old) == 3
        texts["keras"] = texts["keras"].replace(old, new)
    inputs = {"a": 1 + 3e-6 * np.random.default_rng(0).normal(size=(2, 8))}
    return ParityCase(name, model, inputs=inputs, modes=MODES, sources=texts, steps=True)


def test_statistics_of_two_values_are_no_false_alarm(
    parity_of: ParityOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the processor decides whether rounding here is a little above or below 1e-9: a bound that it always exceeds
    monkeypatch.setattr(tolerance, "EXACT", replace(EXACT, fail_above=1e-11, warn_above=1e-11))
    report = parity_of(scarce_case, name="whole")
    assert report.is_equal and report.worst_verdict == "rounded", str(report)
    assert {d.kind for d in report.differences_with("rounded")}.isdisjoint(FORWARD)
    [note] = [
        n
        for n in format_notes(ParityResult("x.yaml", scarce_case("x"), [report], WorkerOptions()))
        if "2 values" in n
    ]
    assert "batch_norm" in note


@pytest.mark.parametrize("name, kind", [("momentum", "statistic"), ("epsilon", "step")])
def test_an_error_beside_them_still_fails(name: str, kind: str, parity_of: ParityOf) -> None:
    report = parity_of(scarce_case)
    assert not report.is_equal and kind in {d.kind for d in report.failing_differences()}, str(report)


[KERAS] = select_lineup(["tensorflow"]).others


def test_verdicts() -> None:
    def judged(allowed: Tolerance, **values: Any) -> str:
        return allowed.judge_difference(Difference("gradient", "x", 1.0, 1.0, **values))

    single = choose_tolerance(build_graph(TIE), "float32", [KERAS])
    assert judged(single, relative=1e-6) == "equal"
    assert judged(single, relative=5e-5) == "close"
    assert judged(single, relative=1e-2) == "differs"
    assert judged(single, relative=1e-2, reference_error=1e-3) == "differs"
    assert judged(single, relative=1e-2, reference_error=5e-3) == "rounded"
    assert judged(single, relative=1e-2, reference_error=1e-6, sensitivity=5e-3) == "rounded"
    assert judged(single, relative=1e-2, reference_error=1e-6, other_sensitivity=5e-3) == "rounded"
    assert judged(single, relative=float("inf"), reference_error=float("inf")) == "differs"
    assert (
        judged(EXACT, relative=1e-2, reference_error=1e-2, sensitivity=1.0, other_sensitivity=1.0)
        == "differs"
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numbers_are_rounded_as_pytorch_does(dtype: DType) -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=1000), [0.0, -0.0, 1 + 2**-9, 1 + 3 * 2**-9, 65000.0, 1e-7]])
    values = values.astype("float32")  # PyTorch goes to halves by way of float32 too
    expected = torch.from_numpy(values).to(getattr(torch, dtype)).to(torch.float32).numpy()
    assert (round_to_dtype(values, dtype) == expected).all()
    assert round_to_dtype(np.arange(3, dtype="int32"), dtype).dtype == "int32"

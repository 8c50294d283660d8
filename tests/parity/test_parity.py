"""Parity itself: probes, differences, tolerances, processes that die or hang, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import backends, load
from specbuild.backends.torch.parity_worker import train_recurrent_layers
from specbuild.cli import main
from specbuild.compiler.compiled_model import compile_graph
from specbuild.compiler.output_files import content_hash
from specbuild.compiler.pipeline import build_graph
from specbuild.frontend.source import Source
from specbuild.parity import participants
from specbuild.parity.compare import ParityCase, ParityReport, WorkerLane, WorkerOptions, compare_cases
from specbuild.parity.difference import Difference, convert_statistics, fill_relative, measure_difference
from specbuild.parity.json_report import result_record
from specbuild.parity.participants import select_lineup
from specbuild.parity.probe_plan import plan_probes
from specbuild.parity.random_data import random_generator
from specbuild.parity.result import ParityResult
from specbuild.parity.tolerance import choose_tolerance
from specbuild.parity.trace import trace_steps
from specbuild.runtimes.switches import worker_environment
from specbuild.runtimes.worker_process import WorkerProcess

ROOT = Path(__file__).parents[1]
SPECS = [*sorted((ROOT.parent / "specs").glob("*.yaml")), *sorted((ROOT / "specs").glob("*.yaml"))]
MODELS = [path for path in SPECS if "model" in Source.read(path, path.name).data]
NET = ROOT / "parity" / "mutants" / "vision.yaml"


def text(steps: str, inputs: str = "{x: {C: 3}}") -> str:
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\nsteps:\n" + "".join(
        f"  {line}\n" for line in steps.splitlines()
    )


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_step_has_its_place_in_both_files(path: Path) -> None:
    """`plan` itself checks that the file with probes is the file, but for the probes."""
    model = build_graph(path)
    plans = {name: plan_probes(compile_graph(model, name)) for name in backends.BACKEND_NAMES}
    steps = list(trace_steps({name: p.top for name, p in plans.items()}))
    paths = [s.path for s in steps]
    assert paths and len(set(paths)) == len(paths)
    for name, found in plans.items():
        shown = {key.partition("@")[0] for probe in found.probes for key in probe.keys}
        rows = {key for probe in found.probes if probe.kind != "value" for key in probe.keys}
        for s in steps:
            own = s.node.name
            placed = own in shown or any(own.startswith(f"{row}.") for row in rows)
            # a change of shape may be written as part of the step that reads it
            assert placed or (not s.is_named and s.node.op.family == "shape"), f"{name}: {s.path}"
        assert all({*x.order, *x.batch_axes} == set(s.type.axes) for s in steps for x in s.layouts.values())


def test_differences() -> None:
    a = np.array([1.0, -4.0, np.inf])
    assert measure_difference("step", "x", a, a).absolute == 0
    assert measure_difference("step", "x", a, np.array([1.0, -3.0, np.inf])).absolute == 1
    assert measure_difference("step", "x", a, np.array([1.0, -4.0, 2.0])).absolute == float("inf")
    assert "NaN" in measure_difference("step", "x", a, a * np.nan).problem
    assert "shape" in measure_difference("step", "x", a, a[:2]).problem


def test_what_is_zero_but_for_rounding_is_measured_by_the_largest() -> None:
    found = [
        Difference("weight_gradient", "large", 0.0, 10.0),
        Difference("weight_gradient", "nothing", 1e-15, 1e-15),
        Difference("step", "small", 1e-4, 1e-4),
    ]
    fill_relative(found, "float64")
    assert found[1].relative == pytest.approx(1e-12)
    assert found[2].relative == pytest.approx(1.0)


def test_gradients_of_inputs_say_when_all_of_weights_is_rounding() -> None:
    found = [Difference("gradient", "x", 0.0, 10.0), Difference("weight_gradient", "only", 1e-15, 1e-15)]
    fill_relative(found, "float64")
    assert found[1].relative == pytest.approx(1e-12)
    wrong = [Difference("gradient", "x", 0.0, 10.0), Difference("weight_gradient", "only", 0.1, 0.1)]
    fill_relative(wrong, "float64")
    assert wrong[1].relative == pytest.approx(1.0)


def test_a_gradient_is_nothing_where_both_frameworks_say_so() -> None:
    found = [
        Difference("weight_gradient", "large", 0.0, 4.0),
        Difference("weight_gradient", "undone", 6e-13, 9e-13),
        Difference("weight_gradient", "lost", 4e-7, 0.0),  # only one of them has it
    ]
    fill_relative(found, "float64")
    assert found[1].relative < 1e-12
    assert found[2].relative > 1e-4


@pytest.mark.parametrize("value", [-1e4, -1e9, -1e30, -np.inf])
@pytest.mark.parametrize("count", [1, 2])
def test_a_mask_hides_no_error(value: float, count: int) -> None:
    """Neither beside it nor in another step; `count` masks may add up."""
    scores = np.random.default_rng(0).normal(size=(8, 8))
    mask = np.where(np.triu(np.ones((8, 8)), 1) > 0, value, 0.0)
    mask = np.where(np.eye(8, k=2) > 0, count * value, mask)
    masked, wrong = scores + mask, scores + mask
    wrong[5, 2] += 1e-6
    weights = np.ones(3)
    found = [
        measure_difference("step", "mask", mask, mask),
        measure_difference("step", "right", masked, masked),
        measure_difference("step", "wrong", masked, wrong),
        measure_difference("step", "next", weights, weights + 1e-6),
    ]
    fill_relative(found, "float64")
    assert [d.relative > 1e-7 for d in found] == [False, False, True, True]


def test_large_values_are_no_mask() -> None:
    """They differ from one another, or the others are not much smaller."""
    a = np.array([1.0, 2e4, 3e4, 5e4, 9e4, 2e5])
    for values in (a, np.array([3e3, 4e3, 1e5])):
        found = measure_difference("step", "x", values, values + 1e-3)
        assert found.size == values.max() and found.unmasked_size is None


def test_an_error_in_masked_entries_is_measured_by_the_mask() -> None:
    a = np.array([1.0, -1e9, -1e9])
    found = [
        measure_difference("step", "x", a, a * [1, 1, 1 + 1e-12]),
        measure_difference("step", "y", a, a * [1, 1, 0]),
    ]
    fill_relative(found, "float64")
    assert found[0].relative == pytest.approx(1e-12, rel=1e-3)
    assert found[1].relative == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["output", "gradient", "weight_gradient", "statistic"])
def test_no_number_is_never_the_least_difference(kind: str) -> None:
    a = np.array([1.0, 2.0])
    for pair in ((a, a * np.nan), (a * np.nan, a), (a * np.nan, a * np.nan), (a, a * np.inf)):
        found = [
            measure_difference(kind, "fine", a, a),
            measure_difference(kind, "x", *pair),
            measure_difference(kind, "last", a, a),
        ]
        fill_relative(found, "float64")
        assert ParityReport("x", differences=found).worst_relative == np.inf


@pytest.mark.slow
def test_outputs_without_a_batch() -> None:
    steps = """
- weight: {axes: {C: 4, H: 3, W: 2}}
  as: table
- const: {axes: {}, value: 3.5}
  as: number
- linear: {features: 3}
  from: x"""
    outputs = "\noutputs: {table: table, number: number, y: prev}"
    model = build_graph(Source(text(steps.strip(), "{x: {C: 4}}") + outputs))
    case = ParityCase("x", model, modes=("forward", "gradients", "train"), steps=True, calibrate=True)
    [report] = compare_cases([case])
    assert not report.error and report.worst_relative < 1e-12
    assert {"output:table", "output:number", "step:table", "weight:table.value"} <= set(
        report.relative_by_key
    )


def test_running_variance_is_counted_as_keras_does() -> None:
    model = build_graph(Source(text("- batch_norm: {momentum: 0.25}\n  as: norm", "{x: {C: 2, H: 2, W: 3}}")))
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 3))
    before = np.array([2.0, 3.0])
    torch = 0.75 * before + 0.25 * x.var((0, 2, 3), ddof=1)
    found = convert_statistics(
        {"norm.variance": torch}, ParityCase("x", model, batch=4), {"norm.variance": before}, is_unbiased=True
    )
    assert np.allclose(found["norm.variance"], 0.75 * before + 0.25 * x.var((0, 2, 3)), rtol=1e-14)


@pytest.mark.parametrize(
    ("steps", "dtype", "runtime", "fails"),
    [
        ("- relu", "float64", "tensorflow", 1e-9),
        ("- gelu", "float64", "tensorflow", 1e-6),
        ("- relu", "float64", "jax", 1e-4),
        ("- gelu", "float32", "tensorflow", 1e-4),
        ("- relu", "bfloat16", "torch", 2e-2),
    ],
)
def test_tolerance_says_why(steps: str, dtype: Any, runtime: Any, fails: float) -> None:
    [other] = select_lineup([runtime]).others
    found = choose_tolerance(build_graph(Source(text(steps))), dtype, [other])
    assert found.fail_above == fails
    assert dtype in found.reason


def worker_variables(runtime: str, options: WorkerOptions) -> dict[str, str]:
    [chosen] = [p.runtime for p in select_lineup().participants if p.title == runtime]
    return worker_environment(chosen.switches, chosen.variables, options)


def test_switches_are_set_before_a_framework_is_imported() -> None:
    off = worker_variables("Keras on JAX", WorkerOptions("cuda"))
    assert off["NVIDIA_TF32_OVERRIDE"] == "0" and off["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert off["KERAS_BACKEND"] == "jax"
    allowed = worker_variables("Keras on JAX", WorkerOptions("cuda", tf32=True))
    assert "NVIDIA_TF32_OVERRIDE" not in allowed
    growing = worker_variables("Keras on TensorFlow", WorkerOptions("cuda"))
    assert growing["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert worker_variables("PyTorch", WorkerOptions("cpu"))["CUDA_VISIBLE_DEVICES"] == ""
    for participant in select_lineup().participants:
        switches = participant.runtime.switches
        assert switches and len({(s.framework, s.name) for s in switches}) == len(switches)


def broken(old: str, new: str) -> ParityCase:
    """A model whose PyTorch file has a fault."""
    model = build_graph(Source(text("- linear: {features: 4}\n  as: first\n- relu:\n  as: second")))
    written = plan_probes(compile_graph(model, "torch")).text
    assert old in written
    return ParityCase(
        "broken", model, sources={"torch": written.replace(old, new)}, steps=True, modes=("forward",)
    )


def run(case: ParityCase, timeout: float = 60) -> ParityReport:
    found: list[ParityReport] = []
    WorkerLane(WorkerOptions(timeout=timeout), select_lineup(["tensorflow"])).run_cases([case], found.append)
    [report] = found
    return report


@pytest.mark.parametrize(
    ("new", "timeout", "said"),
    [
        ("import torch\nimport os\nos._exit(3)", 60, "ended with code 3"),
        ("import torch\nimport os\nos.kill(os.getpid(), 9)", 60, "was killed by SIGKILL"),
        ("import torch\nwhile True:\n    pass", 3, "gave no answer within 3 s"),
        ("import torch\nraise ValueError('no')", 60, "ValueError: no"),
    ],
    ids=["dies", "killed", "hangs", "raises"],
)
@pytest.mark.slow
def test_a_process_that_fails_is_told(new: str, timeout: float, said: str) -> None:
    report = run(broken("import torch\n", f"{new}\n"), timeout)
    assert said in report.error and "Traceback" not in report.error
    assert not report.is_equal
    fault = ParityResult("net.yaml", broken("x", "x"), [report], WorkerOptions()).parity_error()
    assert fault is not None and fault.code == "SB902"


@pytest.mark.parametrize("path", ["", os.pathsep, f"{os.pathsep}/nowhere"])
@pytest.mark.slow
def test_nothing_in_the_current_folder_stands_in_for_a_package(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "numpy", "safetensors", "specbuild"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", path)  # an empty place in it is the current folder
    process = WorkerProcess(WorkerOptions(timeout=60), select_lineup().reference.runtime)
    try:
        assert process.ensure_started()["framework"].startswith("torch 2")
    finally:
        process.stop_process()


def test_nor_does_it_for_the_command(tmp_path: Path) -> None:
    for name in ("numpy", "torch", "json", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    command = [sys.executable, "-m", "specbuild", "parity", "no.yaml"]
    env = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "there is no such file" in done.stderr


@pytest.mark.slow
def test_rates_of_a_row_are_compared_in_its_order() -> None:
    part = "blocks:\n  Part:\n    params: {rate: 0.1}\n    steps:\n      - linear: {features: 4}\n"
    part += "      - drop_path: {rate: rate}\n        as: drop\n"
    row = text("- Part: {rate: i / 8}\n  repeat: 5\n  as: body", "{x: {C: 4}}") + part
    report = run(ParityCase("row", build_graph(Source(row)), modes=("train",)))
    assert report.is_equal, str(report)
    assert len([d for d in report.differences if d.kind == "rate"]) == 5


@pytest.mark.slow
def test_what_is_no_number_is_told_with_its_step() -> None:
    case = broken("F.relu(", "torch.log(-1 - 0 * F.relu(")
    case.sources = {"torch": case.sources["torch"].replace("self.first(x))", "self.first(x)))")}
    report = run(case)
    result = ParityResult("net.yaml", case, [report], WorkerOptions())
    fault = result.parity_error()
    assert fault is not None and fault.code == "SB903" and result.verdict == "failed"
    assert "PyTorch gives NaN" in fault.message and "second" in fault.message
    assert fault.location is not None and fault.location.line == 7


def test_the_whole_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(NET), "--seeds", "2", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    [result] = found["results"]
    assert result["verdict"] == "equal" and result["seeds"] == 2 and result["error"] is None
    model = load(NET)
    assert result["digest"] == model.digest
    assert result["files"] == {b: content_hash(model.source(b)) for b in backends.BACKEND_NAMES}
    assert {t["kind"] for t in result["tensors"]} >= {
        "output",
        "step",
        "weight_gradient",
        "weight",
        "statistic",
    }
    switches = {s["name"]: s["value"] for p in found["processes"] for s in p["switches"]}
    assert switches["torch.backends.cudnn.allow_tf32"] == "False" and switches["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert not [v for v in switches.values() if "cannot be set" in v or "(not" in v]
    # weights are scaled so that no step is too small or too large to be seen
    maps = ("stem", "grouped", "dilated", "upsampled", "head", "stem_norm", "body.0.conv", "body.1.excite")
    spreads = {t["path"]: t["standard_deviation"] for t in result["tensors"] if t["kind"] == "step"}
    assert all(0.5 < spreads[path] < 2 for path in maps), spreads


@pytest.mark.slow
def test_blocks_of_the_library(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = ["ResNet", "--variant", "resnet18", "--set", "classes=10"]
    assert main(["parity", "--block", *wanted, "--mode", "forward", "--batch", "1", "--json"]) == 0
    [result] = json.loads(capfd.readouterr().out)["results"]
    assert result["spec"] == "ResNet resnet18" and result["model"] == "ResNet"
    assert "layer4.1.conv2" in {t["path"] for t in result["tensors"] if t["kind"] == "step"}
    assert main(["parity", "--block", "CBAM", "--block", "SqueezeExcitation", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["results"]
    assert [(r["spec"], r["model"], r["verdict"]) for r in found] == [
        ("CBAM", "Example", "equal"),
        ("SqueezeExcitation", "Example", "equal"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give a spec, or a block"),
        (["--block", "CBAN"], "did you mean 'CBAM'?"),
        (["--block", "CBAM", "--variant", "resnet18"], "CBAM is a block, not a model"),
    ],
)
def test_blocks_that_cannot_be_run(given: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", *given]) == 2
    assert said in " ".join(capfd.readouterr().err.replace("│", " ").split())


def test_a_spec_that_is_not_fine(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text("- rleu"))
    assert main(["parity", str(tmp_path / "bad.yaml")]) == 3
    assert "did you mean 'relu'" in capfd.readouterr().err


def test_a_runtime_that_is_not_installed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = participants.find_spec
    monkeypatch.setattr(participants, "find_spec", lambda name: None if name == "jax" else known(name))
    assert main(["parity", str(NET), "--keras-runtime", "jax"]) == 4
    assert "keras needs jax, which is not installed" in capfd.readouterr().err


@pytest.mark.slow
def test_no_gpu_here(capfd: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["parity", str(NET), "--device", "cuda"]) == 4
    err = capfd.readouterr().err
    assert "error[SB604]: no GPU is available to torch" in err and "--device cpu" in err
    assert main(["parity", str(NET), "--device", "cuda", "--json"]) == 4
    told = json.loads(capfd.readouterr().out)
    assert told["results"] == [] and "no GPU" in json.dumps(told["errors"])


def test_recurrent_layers_give_gradients_on_a_gpu_too() -> None:
    """cuDNN refuses them in evaluation mode; everything else stays in it."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.LSTM(2, 3, batch_first=True))
    x = torch.randn(2, 4, 2)
    expected = model.eval()(x)[0]
    train_recurrent_layers(torch, model)
    assert model[1].training and not model[0].training
    assert (model(x)[0] == expected).all()


@pytest.mark.slow
def test_jax_has_float32_as_a_user_has_it() -> None:
    """With float64 switched on, Keras' GRU without a bias mixes types; float64 still is float64."""
    model = build_graph(
        Source(
            text(
                "- linear: {features: 4}\n- unflatten: {axis: C, into: {T: 2, C: 2}}\n- gru: {units: 3, bias: false, over: T}"
            )
        )
    )
    single, double = compare_cases(
        [ParityCase("single", model, dtype="float32"), ParityCase("double", model)],
        timeout=120,
        runtimes=["jax"],
    )
    assert not single.error and single.is_equal and single.worst_relative > 1e-9, str(single)
    assert not double.error and double.is_equal, str(double)


@pytest.mark.slow
def test_what_the_model_alone_gets_wrong_is_told_at_its_step() -> None:
    """Steps are run by themselves; a framework may still join the model otherwise."""
    case = broken("import torch", "import torch")
    report = run(case)
    assert report.is_equal
    [output] = [d for d in report.differences if d.kind == "output"]
    output.relative = 0.5
    report.seed = 3
    fault = ParityResult("net.yaml", case, [report, run(case)], WorkerOptions()).parity_error()
    assert (
        fault is not None
        and fault.code == "SB901"
        and fault.location is not None
        and fault.location.line == 7
    )
    assert "but in the whole model second gives another value" in fault.message
    assert "with seed 3" in fault.message
    assert result_record(ParityResult("net.yaml", case, [report], WorkerOptions()))["error"]["seed"] == 3


def test_numbers_hang_on_the_spec_and_the_seed_alone() -> None:
    model = build_graph(NET)
    one, same = (
        random_generator(ParityCase(name, model, digest="a")).random() for name in ("net.yaml", "./net.yaml")
    )
    assert one == same
    assert one != random_generator(ParityCase("net.yaml", model, digest="b")).random()
    assert one != random_generator(ParityCase("net.yaml", model, digest="a", seed=1)).random()


def test_what_is_no_number_in_both() -> None:
    nothing = np.array([np.nan])
    assert measure_difference("step", "x", nothing, nothing).problem == "both give NaN"
    assert measure_difference("step", "x", np.ones(1), nothing).problem == "b gives NaN"


@pytest.mark.parametrize(
    "words",
    [
        ["--tf32"],
        ["--tf32", "--device", "cuda", "--dtype", "bfloat16"],
        ["--timeout", "inf"],
        ["--timeout", "nan"],
        ["--batch", "100000000000"],
    ],
    ids=" ".join,
)
def test_options_that_cannot_be(words: list[str]) -> None:
    assert main(["parity", str(NET), *words]) == 2

"""The command: a process of its own runs the code, the proof compares, and the exit code says what came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from specbuild import load
from specbuild.cli import main
from specbuild.compiler.graph_weights import canonical_weights
from specbuild.importing.importer import ImportedModel, import_request, start_worker
from specbuild.importing.proof import prove_import
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.request import parse_request
from specbuild.runtimes.worker_process import WorkerProcess

NETS = Path(__file__).with_name("nets.py")


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    with start_worker(READER) as process:
        yield process


@pytest.fixture(scope="module")
def cbam(worker: WorkerProcess) -> ImportedModel:
    return import_request(parse_request(f"{NETS}:CbamNet", [], ["image=3x16x16"]), worker)


def test_the_proof_is_exact(cbam: ImportedModel, worker: WorkerProcess) -> None:
    proof = prove_import(cbam, worker)
    assert proof.is_equal and not proof.problem
    assert proof.parameters == proof.original_parameters == 26_410
    kinds = (
        "output trained_output gradient trained_gradient weight_gradient trained_weight_gradient statistic"
    )
    assert set(proof.differences) == set(kinds.split())
    assert max(value for value, _ in proof.differences.values()) < 1e-12
    assert str(proof.image).startswith("not compared")  # the classifier is for this size


def test_the_proof_finds_another_model(cbam: ImportedModel, worker: WorkerProcess) -> None:
    model = cbam.model
    cbam.model = load(cbam.text.replace("- sigmoid", "- tanh", 1))
    try:
        proof = prove_import(cbam, worker)
    finally:
        cbam.model = model
    assert not proof.is_equal and proof.differences["output"][0] > 1e-3
    assert proof.first is not None and proof.first.kind == "value"
    first = cbam.text.splitlines()[proof.first.spec_line - 1]
    assert first.strip() == "- sigmoid"  # the line that was changed
    code, number = proof.first.source_line.rsplit(":", 1)
    assert "sigmoid" in Path(code).read_text(encoding="utf-8").splitlines()[int(number) - 1]


def test_the_proof_counts_parameters(cbam: ImportedModel, worker: WorkerProcess) -> None:
    """Weights that are shared, written out as two with the same numbers, give the same outputs."""
    model = cbam.model
    cbam.model = load(cbam.text.replace("bias: false", "bias: true", 1))
    try:
        assert not prove_import(cbam, worker).is_equal
    finally:
        cbam.model = model


def test_the_command_writes_a_spec_and_its_weights(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec, weights = tmp_path / "net.yaml", tmp_path / "net.safetensors"
    arguments = ["import", f"{NETS}:TwoStreams", "--input", "rgb=3x16x16", "--input", "depth=1x16x16"]
    assert main([*arguments, "-o", str(spec), "--weights", str(weights)]) == 0
    log = capfd.readouterr().err
    assert log.startswith(f"this runs the code of {NETS}:TwoStreams on this machine\n")
    assert "6 of 6 weights, by 2 rules" in log
    assert "proved in float64: output 0.0e+00" in log and "parameters 355 = 355" in log
    model = load(spec)
    shapes = {weight.path: weight.shape for weight in canonical_weights(model.graph)}
    assert {name: array.shape for name, array in load_file(weights).items()} == shapes


def test_the_command_refuses_with_all_reasons(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "net.yaml"
    assert main(["import", f"{NETS}:Unknown", "--input", "x=3x8x8", "-o", str(spec)]) == 3
    log = capfd.readouterr().err
    assert log.count("error[SB963]") == 2 and not spec.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "resnet50"], "`resnet50` names no model"),
        (["import", f"{NETS}:UNet"], "the inputs of the model are not known"),
    ],
)
def test_wrong_requests(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 3
    log = capfd.readouterr().err
    assert "error[SB961]" in log and message in log


def test_also_proves_a_second_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "net.yaml"
    source = [f"{NETS}:StageNet", "--input", "image=3x16x16"]
    other = ["--also", "width=8", "--also", "depths=[1, 4]"]
    assert main(["import", *source, *other, "-o", str(spec)]) == 0
    log = capfd.readouterr().err
    assert " calls, 1 block, " in log
    assert "expressions that the second model refutes, left as numbers: neck: features `width`\n" in log
    assert "with width=8, depths=[1, 4], num_classes=5:\nproved in float64: output 0.0e+00" in log
    assert "parameters 29,381 = 29,381" in log and "parameters 9,437 = 9,437" in log
    assert log.count("on a larger image: 0.0e+00") == 2
    assert load(spec, width=8, depths=[1, 4]).parameters == 9_437


def test_also_fails_where_a_difference_follows_no_argument(capfd: pytest.CaptureFixture[str]) -> None:
    source = [f"{NETS}:StageNet", "--input", "image=3x16x16", "--no-proof"]
    assert main(["import", *source, "--also", "depths=[1, 1, 1]"]) == 1
    log = capfd.readouterr().err
    assert "differs in the second model, and follows no argument: stages has 2 or 3 steps\n" in log


def test_a_second_model_that_cannot_be_made_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", f"{NETS}:StageNet", "--input", "image=3x16x16", "--also", "depth=2"]) == 3
    log = capfd.readouterr().err
    assert "error[SB961]: with depth=2: " in log and "unexpected keyword argument 'depth'" in log

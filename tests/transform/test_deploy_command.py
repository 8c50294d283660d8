"""`specbuild transform deploy` and `specbuild compile --deploy`: files, weights, the report, the proof, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from specbuild import load
from specbuild.cli import main
from specbuild.diagnostics.errors import SpecError
from specbuild.transform import formulas
from specbuild.transform.carried_weights import carry_weights
from specbuild.transform.deployed_model import deploy_model
from specbuild.transform.deployment import DeploymentRequest, deploy_with_weights
from tests.transform.deployed import draw_weights
from tests.transform.test_models import REP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a spec, and weights under PyTorch's names with statistics that are not 0 and 1."""
    (tmp_path / "net.yaml").write_text(REP, encoding="utf-8")
    live = load(REP).build("torch")
    random = torch.Generator().manual_seed(1)
    for value in live.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=random) + 0.5)
    state = {name: value.numpy() for name, value in live.state_dict().items()}
    save_file(state, str(tmp_path / "net.safetensors"))
    return tmp_path


def deploy(folder: Path, *more: str) -> int:
    return main(["transform", "deploy", str(folder / "net.yaml"), "-o", str(folder / "out"), *more])


def test_files_of_both_frameworks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(folder / "net.safetensors")
    assert deploy(folder, "--weights", weights, "--json", "-b", "all") == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(file).name for file in report["files"]] == [
        "net_torch.py",
        "net_torch.safetensors",
        "net_keras.py",
        "net_keras.weights.h5",
    ]
    assert [proof["difference"] < 1e-9 for proof in report["proofs"]] == [True, True]
    assert all(0 < proof["stored_difference"] < 1e-5 for proof in report["proofs"])
    stored = load_file(str(folder / "out" / "net_torch.safetensors"))
    assert {value.dtype for value in stored.values()} == {np.dtype("float32")}

    namespace: dict[str, Any] = {"__name__": "deployed"}
    exec((folder / "out" / "net_torch.py").read_text(encoding="utf-8"), namespace)
    deployed = namespace["Net"]()
    deployed.load_state_dict({name: torch.from_numpy(value) for name, value in stored.items()})
    trained = load(REP).build("torch")
    trained.load_state_dict({n: torch.from_numpy(v) for n, v in load_file(weights).items()})
    image = torch.randn(2, 3, 18, 14, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, output = trained.eval()(image), deployed.eval()(image)
    assert float((expected - output).abs().max() / expected.abs().max()) < 1e-5

    # the weights of the Keras model are read back, and are the same
    model = deploy_model(load(REP))
    from specbuild.weights.convert import ConversionOptions, match_file

    options = ConversionOptions()
    keras, _ = match_file(model, folder / "out" / "net_keras.weights.h5", options)
    own, _ = match_file(model, folder / "out" / "net_torch.safetensors", options)
    assert keras.values.keys() == own.values.keys()
    assert all(np.array_equal(keras.values[path], own.values[path]) for path in own.values)


def test_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy(folder, "-b", "torch") == 0
    lines = capsys.readouterr().err
    assert "13 batch norms folded, 8 sums of branches merged" in lines
    assert "proved on PyTorch in float64" in lines and "as they are stored" not in lines
    assert [path.name for path in (folder / "out").iterdir()] == ["net_torch.py"]


def test_compile_deploy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It emits the same file as `transform deploy`."""
    assert main(["compile", str(folder / "net.yaml"), "-b", "torch", "--deploy"]) == 0
    printed = capsys.readouterr()
    assert deploy(folder, "-b", "torch") == 0
    assert (folder / "out" / "net_torch.py").read_text(encoding="utf-8") == printed.out
    assert "batch norms folded" in printed.err
    package = ["compile", str(folder / "net.yaml"), "-b", "torch", "--deploy", "--layout", "package"]
    assert main([*package, "-o", str(folder / "package")]) == 2


def test_existing_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights are only overwritten with --force, and before anything runs."""
    (folder / "out").mkdir()
    (folder / "out" / "net_torch.safetensors").write_text("mine", encoding="utf-8")
    assert deploy(folder, "-b", "torch", "--weights", str(folder / "net.safetensors")) == 2
    assert "SB702" in capsys.readouterr().err
    assert not (folder / "out" / "net_torch.py").exists()
    assert deploy(folder, "-b", "torch", "--weights", str(folder / "net.safetensors"), "--force") == 0


def test_weights_of_another_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"other": np.zeros(3, "float32")}, str(folder / "other.safetensors"))
    assert deploy(folder, "-b", "torch", "--weights", str(folder / "other.safetensors")) == 1
    assert "SB801" in capsys.readouterr().err and not (folder / "out").exists()


def test_negative_variance() -> None:
    model = deploy_model(load(REP))
    weights = draw_weights(model.trained)
    weights["stem.rbr_dense.bn.variance"][0] = -1.0
    with pytest.raises(SpecError) as error:
        carry_weights(model, weights)
    assert error.value.code == "SB809" and "stem.rbr_dense.kernel" in str(error.value)


def test_wrong_fold_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Mutants: without epsilon, and with a mean that is not scaled. The proof finds them, and nothing is written."""
    right = formulas.norm_affine

    def forget_epsilon(name: str, norm: Any) -> formulas.Affine:
        return right(name, type(norm)(**{**vars(norm), "epsilon": 0.0}))

    def forget_factor(name: str, norm: Any) -> formulas.Affine:
        affine = right(name, norm)
        return formulas.Affine(affine.factor, lambda find: find(f"{name}.shift") - find(f"{name}.mean"))

    for mutant in (forget_epsilon, forget_factor):
        monkeypatch.setattr("specbuild.transform.block_rewriter.norm_affine", mutant)
        with pytest.raises(SpecError) as error:
            deploy_with_weights(load(REP), DeploymentRequest(["torch"], tmp_path / "out"))
        assert error.value.code == "SB904" and not (tmp_path / "out").exists()

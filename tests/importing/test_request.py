"""What is said on the command line about a model to import."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from specbuild.diagnostics.errors import SpecError
from specbuild.importing.pytorch.capture_worker import make_model
from specbuild.importing.pytorch.operators_worker import describe_operators
from specbuild.importing.request import InputRequest, parse_request
from specbuild.runtimes.worker_jobs import RefusedJob


def test_sources_settings_and_inputs() -> None:
    settings = ["num_classes=10", "width=0.5", "depths=[2, 2]", "bias=false", "norm=layer"]
    inputs = ["image=3x64x64", "tokens=T:16:int32", "clip=TxCxHxW:8x3x32x32"]
    request = parse_request("./net.py:build_net", settings, inputs)
    assert request.settings == {
        "num_classes": 10,
        "width": 0.5,
        "depths": [2, 2],
        "bias": False,
        "norm": "layer",
    }
    assert request.inputs == {
        "image": InputRequest(("C", "H", "W"), (3, 64, 64)),
        "tokens": InputRequest(("T",), (16,), "int32"),
        "clip": InputRequest(("T", "C", "H", "W"), (8, 3, 32, 32)),
    }
    assert request.model_name == "BuildNet"


@pytest.mark.parametrize(
    ("source", "settings", "inputs", "message"),
    [
        ("resnet50", [], [], "`resnet50` names no model"),
        ("timm:a/b", [], [], "`timm:a/b` names no model"),
        ("timm:a", ["width"], [], "`width` is not NAME=VALUE"),
        ("timm:a", [], ["image"], "`image` is not an input"),
        ("timm:a", [], ["image=CxH:3x4x5"], "`image=CxH:3x4x5` has 3 sizes for the axes C, H"),
        ("timm:a", [], ["image=3x4x5:half"], "`image=3x4x5:half` has a dtype or name that is not known"),
    ],
)
def test_what_is_wrong_is_said(source: str, settings: list[str], inputs: list[str], message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_request(source, settings, inputs)
    assert error.value.code == "SB961" and error.value.message.startswith(message)
    assert error.value.hint


def test_a_missing_operator_of_torchvision_stands_in_by_name(tmp_path: Path) -> None:
    file = tmp_path / "net_with_operator.py"
    file.write_text(
        "import torch\n"
        "if not hasattr(torch.ops.torchvision, 'specbuild_test'):\n"
        "    raise RuntimeError('operator torchvision::specbuild_test does not exist')\n"
        "Net = torch.nn.Identity\n",
        encoding="utf-8",
    )
    assert isinstance(make_model(f"{file}:Net", {}), torch.nn.Identity)
    assert any("torchvision::specbuild_test" in note for note in describe_operators())


def test_an_operator_that_stays_missing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net_without_operator.py"
    file.write_text("raise RuntimeError('operator torchvision::never does not exist')\n", encoding="utf-8")
    with pytest.raises(RefusedJob, match=r"operator\.py:Net cannot be made: RuntimeError: operator"):
        make_model(f"{file}:Net", {})

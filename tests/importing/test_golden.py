"""Specs that are read beside those written by hand. SPECBUILD_UPDATE=1 writes them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import specbuild
from specbuild import load
from specbuild.importing.importer import import_trace
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.trace import trace_from_json
from tests.importing.compared import import_live
from tests.importing.golden_texts import check_golden
from tests.torchvision_operators import operators_of_torchvision

OPERATORS = operators_of_torchvision()
FOLDER = Path(__file__).parent
LIBRARY = Path(specbuild.__file__).parent / "library" / "backbones"
NAMES = {
    "resnet50": "ResNet50",
    "mobilenet_v2": "MobileNetV2",
    "convnext_tiny": "ConvNextTiny",
    "densenet121": "DenseNet121",
    "efficientnet_b0": "EfficientNetB0",
    "swin_t": "SwinTiny",
    "vit_b_16": "VitB16",
}
SIZES = {"swin_t": 224, "vit_b_16": 224}


@pytest.mark.parametrize("name", NAMES)
def test_torchvision_becomes_what_a_person_would_write(name: str) -> None:
    models: Any = pytest.importorskip("torchvision.models")
    with ConstructorWatch() as watch:
        model = models.get_model(name, weights=None)
    size = SIZES.get(name, 64)
    imported = import_live(model, {"image": torch.zeros(3, 3, size, size)}, NAMES[name], watch)
    assert imported.model.parameters == sum(p.numel() for p in model.parameters())
    check_golden(FOLDER / "golden" / f"{name}.yaml", imported.text)


def test_timm_becomes_what_a_person_would_write() -> None:
    """Steps between the members of a list stand after it, and members have the numbers of the original."""
    timm: Any = pytest.importorskip("timm")
    with ConstructorWatch() as watch:
        model = timm.create_model("hrnet_w18_small")
    imported = import_live(model, {"image": torch.zeros(3, 3, 64, 64)}, "HRNetW18Small", watch)
    assert imported.model.parameters == sum(p.numel() for p in model.parameters())
    assert imported.key_map.is_strict
    check_golden(FOLDER / "golden" / "hrnet_w18_small.yaml", imported.text)


@pytest.mark.parametrize("path", sorted((FOLDER / "traces").glob("*.json")), ids=lambda path: path.stem)
def test_a_stored_trace_needs_no_framework(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    trace = trace_from_json(text)
    assert trace.to_json() == text.rstrip("\n")
    axes = dict.fromkeys(trace.inputs, ("C", "H", "W"))
    check_golden(path.with_suffix(".yaml"), import_trace(READER, "Net", trace, {}, axes).text)


def test_another_version_of_a_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="a trace of version 2, not 1"):
        trace_from_json('{"version": 2}')


@pytest.mark.parametrize("path", sorted((FOLDER / "golden").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_imported_spec_is_one_like_any_other(path: Path) -> None:
    """It takes another number of classes, has a block in it that others can use, and compiles to Keras."""
    model = load(path, num_classes=10)
    assert model.graph.outputs[""].type.sizes == {"C": 10}
    assert "Conv2D(" in model.source("keras")


@pytest.mark.parametrize(
    ("name", "params", "written", "variant"),
    [
        (
            "vit_b_16",
            {"num_layers": 24, "hidden_dim": 1024, "num_heads": 16, "mlp_dim": 4096},
            "vit",
            "vit_l_16",
        ),
        ("swin_t", {"depths": [2, 2, 18, 2]}, "swin", "swin_s"),
        (
            "densenet121",
            {"growth_rate": 48, "num_init_features": 96, "block_config": [6, 12, 36, 24]},
            "densenet",
            "densenet161",
        ),
    ],
)
def test_an_imported_spec_becomes_a_larger_model(
    name: str, params: dict[str, Any], written: str, variant: str
) -> None:
    """With the arguments of another model of the family it has as many weights as that of the library."""
    model = load(FOLDER / "golden" / f"{name}.yaml", **params)
    assert model.parameters == load(LIBRARY / f"{written}.yaml", variant=variant).parameters

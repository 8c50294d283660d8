"""Backbones of the library against torchvision's: names, counts, and outputs with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.api import Model
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import difference, randomise

torchvision = lazy_module("torchvision")

ROOT = Path(__file__).parents[2]
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
RESNETS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"]
DEEP = {"resnet101", "resnet152", "wide_resnet50_2"}
RENAMED = {"mobilenet_v2": "mobilenet_v2"}  # variant -> file

TOLERANCE = 1e-10
SIZES = [(224, 224), (97, 131)]


def deep(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name for name in names]


def images(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))


def oracle(name: str) -> nn.Module:
    """torchvision's own model, every weight of it random."""
    model: nn.Module = torchvision.models.get_model(name, weights=None)
    randomise(model, images(64, 96))
    return model


def compiled(file: str, variant: str) -> Model:
    return load(BACKBONES / f"{file}.yaml", variant=variant)


def check(spec: Model, theirs: nn.Module, ours: nn.Module) -> None:
    assert (
        spec.parameters
        == sum(p.numel() for p in theirs.parameters())
        == sum(p.numel() for p in ours.parameters())
    )
    ours.eval()
    for height, width in SIZES:
        x = images(height, width)
        with torch.no_grad():
            assert difference(theirs(x), ours(x)) < TOLERANCE, (height, width)


@pytest.mark.parametrize("name", deep(RESNETS))
def test_resnet(name: str) -> None:
    theirs, spec = oracle(name), compiled("resnet", name)
    ours: nn.Module = spec.build("torch")
    ours.load_state_dict(theirs.state_dict(), strict=True)
    check(spec, theirs, ours)


@pytest.mark.parametrize("name", RENAMED)
def test_renamed(name: str) -> None:
    theirs, spec = oracle(name), compiled(RENAMED[name], name)
    ours: nn.Module = spec.build("torch")
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    carried = convert_published_weights(spec.graph, "torchvision", entries)
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in carried.items()}, strict=True)
    check(spec, theirs, ours)


def test_taps_and_what_they_do_not_need() -> None:
    """A backbone inside a model: each stage can be read, and what comes after the last one is gone."""
    spec = load(
        """
specbuild: 1
model: Features
imports: {ResNet: "library:backbones/resnet.yaml"}
inputs: {image: {C: 3, H: 97, W: 131}}
steps:
  - ResNet: {variant: resnet50}
    as: backbone
outputs: [backbone.layer1, backbone.layer2.1.bn3, backbone.layer3]
"""
    )
    theirs, ours = oracle("resnet50"), spec.build("torch").eval()
    kept = {f"backbone.{k}": v for k, v in theirs.state_dict().items() if not k.startswith(("layer4", "fc"))}
    ours.load_state_dict(kept, strict=True)
    seen: list[torch.Tensor] = []
    for part in ("layer1", "layer2.1.bn3", "layer3"):
        theirs.get_submodule(part).register_forward_hook(
            lambda _module, _inputs, output: seen.append(output.clone())
        )
    x = images(97, 131)
    with torch.no_grad():
        theirs(x)
        for a, b in zip(seen, ours(x), strict=True):
            assert difference(a, b) < TOLERANCE


def test_the_random_weights_tell_models_apart() -> None:
    """An epsilon of 1.001e-5 for 1e-5, Keras' for PyTorch's, is seen, and so is a stride in another place."""
    x = images(64, 96)
    theirs, other = oracle("resnet50"), torchvision.models.resnet50()
    other.load_state_dict(theirs.state_dict())
    other.eval()
    with torch.no_grad():
        assert difference(theirs(x), other(x)) == 0
        for module in other.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1.001e-5
        assert difference(theirs(x), other(x)) > 1e-5
        other.load_state_dict(theirs.state_dict())
        for module in other.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-5
        other.layer2[0].conv1.stride, other.layer2[0].conv2.stride = (2, 2), (1, 1)
        assert difference(theirs(x), other(x)) > 1e-3

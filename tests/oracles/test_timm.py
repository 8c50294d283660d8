"""Backbones of the library with timm's names and weights: each of them used, each given, the same outputs."""

from __future__ import annotations

import pytest
import torch

from specbuild import load
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, apart
from tests.oracles.randomised import randomise

timm = lazy_module("timm")


MODELS = [
    ("resnet", "resnet18", {}, 64),
    ("vit", "vit_b_16", {"depth": 2}, 224),
]
NAMES = {"resnet18": "resnet18", "vit_b_16": "vit_base_patch16_224"}


@torch.no_grad()
@pytest.mark.parametrize(("file", "variant", "parameters", "side"), MODELS, ids=[m[1] for m in MODELS])
def test_same_outputs(file: str, variant: str, parameters: dict[str, int], side: int) -> None:
    theirs = timm.create_model(NAMES[variant], pretrained=False, **parameters).eval()
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    randomise(theirs, images)
    spec = load(BACKBONES / f"{file}.yaml", variant=variant, **parameters)
    state = convert_published_weights(
        spec.graph, "timm", {key: value.numpy() for key, value in theirs.state_dict().items()}
    )
    ours = spec.build("torch")
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    assert apart(theirs.eval(), ours.eval(), side, side) < TOLERANCE

"""Backbones with a feature pyramid against the bodies of torchvision's detectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.carried import TOLERANCE, images
from tests.oracles.library.shelf import list_values
from tests.oracles.randomised import difference, randomise

bodies = lazy_module("torchvision.models.detection.backbone_utils")

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"


def make_resnet() -> nn.Module:
    return bodies.resnet_fpn_backbone(  # type: ignore[no-any-return]
        backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )


def make_mobilenet() -> nn.Module:
    return bodies.mobilenet_backbone(  # type: ignore[no-any-return]
        backbone_name="mobilenet_v3_large",
        weights=None,
        fpn=True,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3),
        trainable_layers=6,
    )


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "resnet_pyramid": make_resnet,
    "mobilenet_pyramid": make_mobilenet,
}
WITHIN_DETECTORS = ["resnet_pyramid"]  # whose rules also take the names of a whole detector


@torch.no_grad()
@pytest.mark.parametrize("file", MAKERS)
def test_same_outputs(file: str) -> None:
    theirs, image = MAKERS[file](), images(65, 97)
    randomise(theirs, image)
    spec = load(MODELS / f"{file}.yaml")
    assert spec.parameters == sum(p.numel() for p in theirs.parameters())
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, "torchvision", entries)
    if file in WITHIN_DETECTORS:
        whole = {f"backbone.{key}": value for key, value in entries.items()} | {
            "rpn.head.cls_logits.bias": np.zeros(3)
        }
        within = convert_published_weights(spec.graph, "torchvision", whole)
        assert within.keys() == state.keys()
        assert all(np.array_equal(within[key], value) for key, value in state.items())
    ours = spec.build("torch")
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    expected = list_values(theirs.eval()(image))
    for mine, value in zip(list_values(ours.eval()(image)), expected, strict=True):
        assert difference(value, mine) < TOLERANCE

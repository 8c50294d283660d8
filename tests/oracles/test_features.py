"""Features as torchvision's own extractor takes them out of its model, with the same weights."""

from __future__ import annotations

import pytest
import torch

from specbuild import load
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES

torchvision = lazy_module("torchvision")
feature_extraction = lazy_module("torchvision.models.feature_extraction")

NODES = ["layer1", "layer2.0", "layer3", "layer4"]


@torch.no_grad()
@pytest.mark.parametrize("only", [False, True])
def test_as_torchvision_extracts_them(only: bool) -> None:
    reference = torchvision.models.resnet18().eval()
    net = load(BACKBONES / "resnet.yaml", "resnet18").with_features(*NODES, only=only).build("torch").eval()
    state = {key: value for key, value in reference.state_dict().items() if not only or "fc" not in key}
    net.load_state_dict(state, strict=True)
    image = torch.randn(2, 3, 64, 64)
    found = net(image) if only else net(image)[1:]
    expected = feature_extraction.create_feature_extractor(reference, NODES)(image)
    for value, node in zip(found, NODES, strict=True):
        torch.testing.assert_close(value, expected[node], rtol=1e-10, atol=1e-10)

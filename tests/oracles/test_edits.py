"""A known network with edits takes torchvision's weights, and where nothing is changed, gives its outputs."""

from __future__ import annotations

import torch

from tests.elaborate.test_edits import ATTENTION, IDENTITY, edited
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import difference, randomise

torchvision = lazy_module("torchvision")


def test_trained_weights_of_the_original_load_and_only_the_new_are_missing() -> None:
    theirs = torchvision.models.resnet50(weights=None)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    randomise(theirs, images)
    theirs.eval()
    for edits in (ATTENTION, IDENTITY):
        ours = edited(edits, "resnet50").build("torch").eval()
        report = ours.load_state_dict(theirs.state_dict(), strict=False)
        new = {name for name, _ in ours.named_parameters() if ".attention" in name}
        new |= {
            name for name, _ in ours.named_buffers() if ".attention" in name and "num_batches" not in name
        }
        assert new and set(report.missing_keys) == new
        assert report.unexpected_keys == []
        with torch.no_grad():
            same = torch.equal(ours(images), theirs(images))
        assert same == (edits is IDENTITY)


def test_difference_is_seen() -> None:
    """The comparison of outputs above is one that a changed network does not pass."""
    theirs = torchvision.models.resnet18(weights=None)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    randomise(theirs, images)
    ours = edited("{remove: layer4.1.relu2}").build("torch").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        assert difference(theirs.eval()(images), ours(images)) > 1e-3

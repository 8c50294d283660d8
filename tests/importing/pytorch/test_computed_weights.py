"""Layers whose weights are computed before they run: weight norm and spectral norm, the older way and the newer one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import utils
from torch.nn.utils import parametrizations

from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.recorder_worker import record_model
from specbuild.importing.trace import trace_from_json
from tests.importing.compared import import_live, largest_difference

Wrapper = Callable[[Any], nn.Module]


class Critic(nn.Module):
    """A network of layers that are all normed, called for two images (arXiv 1802.05957)."""

    def __init__(self, norm: Wrapper):
        super().__init__()
        self.features = nn.Sequential(
            norm(nn.Conv2d(2, 4, 3)), nn.LeakyReLU(0.2), nn.Sequential(norm(nn.Conv2d(4, 6, 3)), nn.ReLU())
        )
        self.out = norm(nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x).mean((2, 3)))


class Pair(nn.Module):
    def __init__(self, norm: Wrapper):
        super().__init__()
        self.critic = Critic(norm)

    def forward(self, real: Tensor, made: Tensor) -> Tensor:
        return F.relu(1 - self.critic(real)) + F.relu(1 + self.critic(made))


@pytest.mark.parametrize(
    ("norm", "block", "rules"),
    [
        (utils.spectral_norm, "SpectralNorm", ""),
        (parametrizations.spectral_norm, "SpectralNorm", "original: critic.out.weight_orig"),
        (utils.weight_norm, "WeightNorm", "reshape: true"),
        (parametrizations.weight_norm, "WeightNorm", "original1: critic.out.weight_v"),
    ],
    ids=["spectral_hook", "spectral", "weight_hook", "weight"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
def test_normed_layers_become_blocks(norm: Wrapper, block: str, rules: str) -> None:
    with ConstructorWatch() as watch:
        model = Pair(norm)
    x = torch.randn(3, 2, 8, 8)
    imported = import_live(model, {"real": x, "made": x}, "Pair", watch)
    assert largest_difference(imported, model, [x, x.flip(0)]) < 1e-12, imported.text
    assert f"  {block}Conv2d:\n    params: {{out_channels: int" in imported.text, imported.text
    assert f"- {block}Linear:\n        as: out\n" in imported.text
    assert "  - reuse: critic\n    from: made\n" in imported.text
    assert rules in imported.text and imported.key_map.is_strict == (not rules), imported.text
    assert imported.model.source("keras")


def test_spectral_norm_is_not_compared_in_training() -> None:
    x = torch.randn(3, 2, 8, 8)
    for norm, is_fixed in ((parametrizations.spectral_norm, True), (parametrizations.weight_norm, False)):
        trace, _ = record_model(Critic(norm), {"x": x}, ConstructorWatch())
        assert bool(trace.untrained) == is_fixed
        assert trace_from_json(trace.to_json()).untrained == trace.untrained


class Patches(nn.Module):
    """A critic that judges patches, with kernels of several sizes, one of them for a single output."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((2, 4, 4), (4, 6, 1), (6, 1, 4))
        layers = [utils.spectral_norm(nn.Conv2d(i, o, k)) for i, o, k in sizes]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_kernels_of_all_sizes_are_one_block() -> None:
    with ConstructorWatch() as watch:
        model = Patches()
    x = torch.randn(3, 2, 8, 8)
    imported = import_live(model, {"x": x}, "Patches", watch)
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text
    assert "SpectralNormConv2d2" not in imported.text and imported.key_map.is_strict
    assert "weight: {axes: {O: out_channels, I: x.C, H: kernel_size, W: kernel_size}}" in imported.text
    assert "weight: {axes: {C: kernel_size * kernel_size * x.C}, trained: false}" in imported.text


class Mirrored(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight + weight.mT


def test_a_parametrization_of_the_author_is_a_block() -> None:
    layer = nn.Linear(4, 4)
    utils.parametrize.register_parametrization(layer, "weight", Mirrored())
    model, x = nn.Sequential(layer, nn.Tanh()), torch.randn(3, 4)
    imported = import_live(model, {"x": x}, "Net")
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text
    assert "  Mirrored:\n" in imported.text and "  MirroredLinear:\n" in imported.text, imported.text

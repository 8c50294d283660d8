"""Attention blocks of the library: their published sizes, and what they compute with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.api import Model
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import difference, randomise

torchvision = lazy_module("torchvision")
timm = lazy_module("timm")


# of 64 channels; those of CBAM as its authors published it, the others as in timm
PARAMETERS = {
    "CBAM": 680,
    "ChannelAttention": 580,
    "SpatialAttention": 100,
    "SpatialAttention: {normalised: false}": 98,
    "SqueezeExcitation": 580,
    "EfficientChannelAttention": 3,
    "GlobalContext": 653,
    "MultiScaleChannelAttention": 4_576,
}


def compiled(block: str, channels: int = 64) -> Model:
    step = block if ":" in block else f"{block}: {{}}"
    return load(
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: {channels}, H: 14, W: 11}}}}\nsteps:\n  - {step}\n    as: block\n"
    )


def built(block: str, x: torch.Tensor) -> nn.Module:
    net = compiled(block, x.shape[1]).build("torch")
    randomise(net, x)
    return net.block  # type: ignore[no-any-return]


def maps(channels: int = 64) -> torch.Tensor:
    return torch.randn(2, channels, 14, 11, generator=torch.Generator().manual_seed(channels))


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert compiled(block).parameters == PARAMETERS[block]


@torch.no_grad()
def test_cbam() -> None:
    """Its formula: x * sigmoid(mlp(mean) + mlp(max)), then * sigmoid(norm(conv7([max, mean])))."""
    x = maps()
    block = built("CBAM", x)
    mlp, conv, norm = block.channel.perceptron, block.spatial.conv, block.spatial.norm

    def perceptron(v: torch.Tensor) -> torch.Tensor:
        return F.linear(F.linear(v, mlp.fc1.weight, mlp.fc1.bias).clamp(min=0), mlp.fc2.weight, mlp.fc2.bias)

    gate = torch.sigmoid(perceptron(x.mean((2, 3))) + perceptron(x.flatten(2).max(2).values))
    y = torch.einsum("bchw,bc->bchw", x, gate)
    places = F.conv2d(torch.stack([y.max(1).values, y.mean(1)], 1), conv.weight, padding=3)
    shift = norm.bias - norm.running_mean * norm.weight / (norm.running_var + 1e-5).sqrt()
    gate = torch.sigmoid(places * norm.weight / (norm.running_var + 1e-5).sqrt() + shift)
    assert difference(y * gate, block(x)) < 1e-10


@torch.no_grad()
def test_squeeze_excitation() -> None:
    x = maps()
    ours, theirs = built("SqueezeExcitation", x), timm.layers.SEModule(64, rd_channels=4)
    for name in ("fc1", "fc2"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        other.weight.copy_(mine.weight[:, :, None, None])
        other.bias.copy_(mine.bias)
    assert difference(theirs(x), ours(x)) < 1e-10


@torch.no_grad()
@pytest.mark.parametrize("channels", [4, 8, 64, 127, 128, 512, 2047, 2048])
def test_efficient_channel_attention(channels: int) -> None:
    """Among them the sizes at which the kernel grows."""
    x = maps(channels)
    ours: Any = built("EfficientChannelAttention", x)
    theirs = timm.layers.EcaModule(channels)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert difference(theirs(x), ours(x)) < 1e-10


@torch.no_grad()
def test_global_context() -> None:
    """timm's has an epsilon of 1e-6, the paper's, and ours, one of 1e-5."""
    x = maps()
    ours: Any = built("GlobalContext", x)
    theirs = timm.layers.GlobalContext(64, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16)
    pairs = (
        (ours.attention, theirs.conv_attn),
        (ours.fc1, theirs.mlp_add.fc1),
        (ours.fc2, theirs.mlp_add.fc2),
    )
    for mine, other in pairs:
        other.weight.copy_(mine.weight.reshape(other.weight.shape))
        other.bias.copy_(mine.bias)
    theirs.mlp_add.norm.load_state_dict(ours.norm.state_dict())
    theirs.mlp_add.norm.eps = 1e-5
    assert difference(theirs(x), ours(x)) < 1e-10
    assert difference(x, ours(x)) > 1e-3


@torch.no_grad()
def test_cbam_resnet50_takes_the_weights_of_resnet50() -> None:
    """All of them, by their own names; with gates that let everything pass it is ResNet-50."""
    from tests.oracles.test_torchvision import ROOT, images

    theirs, ours = torchvision.models.resnet50(), load(ROOT / "specs" / "cbam_resnet50.yaml").build("torch")
    randomise(theirs, images(64, 96))
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not unexpected
    assert all(".attention." in key for key in missing)
    assert len({key.partition(".attention.")[0] for key in missing}) == 16
    for name, module in ours.named_modules():
        if name.endswith("perceptron.fc2"):
            module.weight.zero_()
            module.bias.fill_(50)  # twice: a sigmoid of 100 is 1
        if name.endswith("spatial.norm"):
            module.weight.zero_()
            module.bias.fill_(100)
    x = images(64, 96)
    assert difference(theirs(x), ours.eval()(x)) < 1e-10

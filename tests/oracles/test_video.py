"""S3D and Video Swin of the library against torchvision's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, carry_and_compare
from tests.oracles.library.shelf import check_parity
from tests.parity_runner import ParityOf

models = lazy_module("torchvision.models")

S3D = BACKBONES / "s3d.yaml"


@torch.no_grad()
def test_same_outputs() -> None:
    """At an odd length and width, every published weight used, every own one given, as many as published."""
    spec = load(S3D)
    [published, *_] = models.get_model_weights("s3d")
    assert spec.parameters == published.meta["num_params"]
    video = torch.randn(1, 3, 15, 224, 227, generator=torch.Generator().manual_seed(0))
    assert carry_and_compare(spec, models.video.s3d(weights=None), "torchvision", video) < TOLERANCE


def make_swin() -> nn.Module:
    return models.video.SwinTransformer3d(  # type: ignore[no-any-return]
        [2, 4, 4], 8, [2, 2, 1, 2], [1, 2, 2, 4], [2, 3, 3], num_classes=7
    )


SWIN = {"features": 8, "depths": [2, 2, 1, 2], "heads": [1, 2, 2, 4], "frames": 2, "side": 3, "classes": 7}


@torch.no_grad()
@pytest.mark.parametrize(("frames", "height", "width"), [(5, 57, 75), (3, 30, 130)])
def test_swin(frames: int, height: int, width: int) -> None:
    """Sides that windows do not fill, in the second case such that are shorter than a window."""
    spec = load(BACKBONES / "video_swin.yaml", **SWIN)
    video = torch.randn(1, 3, frames, height, width, generator=torch.Generator().manual_seed(0))
    assert carry_and_compare(spec, make_swin(), "torchvision", video) < TOLERANCE


@pytest.mark.parametrize("variant", ["swin3d_t", "swin3d_s", "swin3d_b"])
def test_parameters_of_swin(variant: str) -> None:
    published, *_ = models.get_model_weights(variant)
    assert load(BACKBONES / "video_swin.yaml", variant).parameters == published.meta["num_params"]


INCEPTION = """\
specbuild: 1
model: Net
imports: {VideoInception: library:backbones/s3d.yaml#VideoInception}
inputs: {video: {C: 3, D: 5, H: 9, W: 7}}
steps:
  - VideoInception: {widths: [2, 3, 4, 2, 3, 2]}
"""


def parity_case(text: str) -> ParityCase:
    """In float32: TensorFlow has no pooling over three axes in float64."""
    return ParityCase(
        "inception", build_graph(text), batch=2, modes=("forward", "gradients", "train"), dtype="float32"
    )


@pytest.mark.parametrize("text", [INCEPTION], ids=["inception"])
def test_parity(text: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


MVIT = {"depths": [1, 2, 1, 1], "features": 8, "heads": 1, "classes": 5, "drop_path": 0}
LAYERS = [[1, 1, 8], [2, 2, 4], [2, 1, 4], [4, 2, 2], [8, 2, 1]]  # heads, and strides of queries and of keys
WIDTHS = {False: ([8, 16, 16, 32, 64], [16, 16, 32, 64, 64]), True: ([8, 8, 16, 16, 32], [8, 16, 16, 32, 64])}


def make_mvit(second: bool, frames: int, height: int, width: int) -> nn.Module:
    """torchvision's MViT with five narrow layers."""
    from torchvision.models.video.mvit import MSBlockConfig, MViT

    layers = [
        MSBlockConfig(
            heads,
            before,
            after,
            [3, 3, 3] if second or stride > 1 else [],
            [3, 3, 3],
            [1, stride, stride] if second or stride > 1 else [],
            [1, key_stride, key_stride],
        )
        for (heads, stride, key_stride), before, after in zip(LAYERS, *WIDTHS[second], strict=True)
    ]
    return MViT((height, width), frames, layers, second, False, second, second, num_classes=5)


@torch.no_grad()
@pytest.mark.parametrize(("second", "frames", "height", "width"), [(False, 6, 64, 96), (True, 4, 100, 68)])
def test_mvit(second: bool, frames: int, height: int, width: int) -> None:
    """Sides that strides do not divide, in MViTv2; their distances are interpolated."""
    sizes = {"frames": frames, "height": height, "width": width}
    spec = load(BACKBONES / "mvit.yaml", second=second, **sizes, **MVIT)
    video = torch.randn(1, 3, frames, height, width, generator=torch.Generator().manual_seed(0))
    theirs = make_mvit(second, frames, height, width)
    assert carry_and_compare(spec, theirs, "torchvision", video) < TOLERANCE


@pytest.mark.parametrize("variant", ["mvit_v1_b", "mvit_v2_s"])
def test_parameters_of_mvit(variant: str) -> None:
    published, *_ = models.get_model_weights(variant)
    assert load(BACKBONES / "mvit.yaml", variant).parameters == published.meta["num_params"]

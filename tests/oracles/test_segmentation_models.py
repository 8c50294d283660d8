"""Segmentation models of the library against torchvision's and segmentation_models_pytorch's own, few layers deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.carried import TOLERANCE
from tests.oracles.randomised import difference, randomise

models = lazy_module("torchvision.models")
segmentation = lazy_module("torchvision.models.segmentation")
utilities = lazy_module("torchvision.models._utils")
smp = lazy_module("segmentation_models_pytorch")
pvt_v2 = lazy_module("timm.models.pvt_v2")
segformer_decoder = lazy_module("segmentation_models_pytorch.decoders.segformer.decoder")
mix_transformer = lazy_module("segmentation_models_pytorch.encoders.mix_transformer")

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"
FLAT = [1, 1, 1, 2]

# file and variant -> as torchvision publishes them, less the classifier that only helps training
TORCHVISION = {
    ("fcn", "fcn_resnet50"): 35_322_218,
    ("fcn", "fcn_resnet101"): 54_314_346,
    ("deeplab_v3", "deeplabv3_resnet50"): 42_004_074,
    ("deeplab_v3", "deeplabv3_resnet101"): 60_996_202,
    ("deeplab_v3_mobile", "deeplabv3_mobilenet_v3_large"): 11_029_328,
    ("lite_raspp", "lraspp_mobilenet_v3_large"): 3_221_538,
}


@pytest.mark.parametrize(("file", "variant"), TORCHVISION, ids=lambda x: x)
def test_parameters_of_torchvision(file: str, variant: str) -> None:
    with torch.device("meta"):
        reference = models.get_model(variant, weights=None, weights_backbone=None)
    [published, *_] = models.get_model_weights(variant)
    assert published.meta["num_params"] == TORCHVISION[file, variant]
    assert count(file, variant) == sum(p.numel() for p in reference.parameters())


@pytest.mark.parametrize("variant", [f"mit_b{i}" for i in range(6)])
def test_parameters_of_segformer(variant: str) -> None:
    """The encoder is PVT v2 with the numbers of SegFormer's table."""
    table = mix_transformer.mix_transformer_encoders[variant]["params"]
    kept = {name: table[name] for name in ("embed_dims", "num_heads", "mlp_ratios", "depths", "sr_ratios")}
    with torch.device("meta"):
        encoder = pvt_v2.PyramidVisionTransformerV2(num_classes=0, **kept)
        decoder = segformer_decoder.SegformerDecoder(table["out_channels"], segmentation_channels=256)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    ours = count("segformer", variant.replace("mit", "segformer"), classes=1, channels=256)
    assert ours == sum(p.numel() for p in parameters) + 256 + 1


def count(file: str, variant: str, **parameters: Any) -> int:
    return model_cost(build_graph(MODELS / f"{file}.yaml", parameters, variant)).parameters


def make_resnet(depths: list[int], dilated: bool) -> nn.Module:
    block = models.resnet.Bottleneck
    net = models.ResNet(block, depths, replace_stride_with_dilation=[False, dilated, dilated])
    assert isinstance(net, nn.Module)
    return net


def take_maps(net: nn.Module, *names: str) -> nn.Module:
    getter = utilities.IntermediateLayerGetter(net, {name: name for name in names})
    assert isinstance(getter, nn.Module)
    return getter


def make_fcn() -> nn.Module:
    body = utilities.IntermediateLayerGetter(make_resnet([1, 1, 2, 2], True), {"layer4": "out"})
    return segmentation.FCN(body, segmentation.fcn.FCNHead(2048, 7))  # type: ignore[no-any-return]


def make_deeplab() -> nn.Module:
    body = utilities.IntermediateLayerGetter(make_resnet([1, 1, 2, 2], True), {"layer4": "out"})
    return segmentation.DeepLabV3(body, segmentation.deeplabv3.DeepLabHead(2048, 7))  # type: ignore[no-any-return]


class Pyramid(nn.Module):
    """Figure 3 of arXiv 1612.01105."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = take_maps(make_resnet([1, 1, 1, 2], True), "layer4")
        self.ppm = nn.Module()
        self.ppm.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(bin),
                nn.Conv2d(2048, 512, 1, bias=False),
                nn.BatchNorm2d(512),
                nn.ReLU(),
            )
            for bin in (1, 2, 3, 6)
        )
        convolution = nn.Conv2d(4096, 512, 3, padding=1, bias=False)
        self.cls = nn.Sequential(
            convolution, nn.BatchNorm2d(512), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(512, 7, 1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.backbone(image)["layer4"]
        grids: Any = self.ppm.features
        resized = [F.interpolate(g(x), x.shape[2:], mode="bilinear", align_corners=True) for g in grids]
        scores = self.cls(torch.cat([x, *resized], 1))
        return F.interpolate(scores, image.shape[2:], mode="bilinear", align_corners=True)


def make_smp(name: str, **options: Any) -> nn.Module:
    """A model of segmentation_models_pytorch, with few blocks in its ResNet-50."""
    settings = smp.encoders.encoders["resnet50"]["params"]
    with patch.dict(settings, layers=FLAT):
        net = getattr(smp, name)("resnet50", encoder_weights=None, classes=7, **options)
    assert isinstance(net, nn.Module)
    return net


def make_deeplab_plus() -> nn.Module:
    net: Any = make_smp("DeepLabV3Plus", decoder_atrous_rates=(6, 12, 18))
    net.encoder.layer4[0].conv2.dilation = net.encoder.layer4[0].conv2.padding = (1, 1)
    return net  # type: ignore[no-any-return]


def make_upernet() -> nn.Module:
    net: Any = make_smp("UPerNet", decoder_channels=32)
    net.decoder.feature_norms = nn.ModuleList(nn.Identity() for _ in range(4))
    net.segmentation_head[1].align_corners = False
    return net  # type: ignore[no-any-return]


def make_segformer() -> nn.Module:
    with patch.dict(smp.encoders.encoders["mit_b0"]["params"], depths=FLAT):
        net: Any = smp.Segformer("mit_b0", encoder_weights=None, classes=7, decoder_segmentation_channels=32)
    net.segmentation_head[1].align_corners = False
    return net  # type: ignore[no-any-return]


def make_dpt() -> nn.Module:
    return smp.DPT(  # type: ignore[no-any-return]
        "tu-vit_tiny_patch16_224",
        encoder_weights=None,
        decoder_intermediate_channels=(8, 12, 16, 20),
        decoder_fusion_channels=8,
        classes=7,
        img_size=(32, 64),
    )


Case = tuple[str, str, Mapping[str, Any], Callable[[], nn.Module]]
SHALLOW = {"depths": FLAT}
CASES: dict[str, Case] = {
    "fcn": ("fcn", "torchvision", {"depths": [1, 1, 2, 2]}, make_fcn),
    "deeplab_v3": ("deeplab_v3", "torchvision", {"depths": [1, 1, 2, 2]}, make_deeplab),
    "deeplab_v3_mobile": (
        "deeplab_v3_mobile",
        "torchvision",
        {},
        lambda: segmentation.deeplabv3_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=7, aux_loss=True
        ),
    ),
    "lite_raspp": (
        "lite_raspp",
        "torchvision",
        {},
        lambda: segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=7),
    ),
    "pspnet": ("pspnet", "authors", SHALLOW, Pyramid),
    "deeplab_v3_plus": ("deeplab_v3_plus", "segmentation_models_pytorch", SHALLOW, make_deeplab_plus),
    "semantic_fpn": ("semantic_fpn", "segmentation_models_pytorch", SHALLOW, lambda: make_smp("FPN")),
    "upernet": ("upernet", "segmentation_models_pytorch", {**SHALLOW, "channels": 32}, make_upernet),
    "backbone_unet": (
        "backbone_unet",
        "segmentation_models_pytorch",
        {**SHALLOW, "widths": [24, 16, 12, 8, 6]},
        lambda: make_smp("Unet", decoder_channels=(24, 16, 12, 8, 6)),
    ),
    "dpt": (
        "dpt",
        "segmentation_models_pytorch",
        {
            "height": 32,
            "width": 64,
            "features": 192,
            "heads": 3,
            "hidden": 768,
            "widths": [8, 12, 16, 20],
            "channels": 8,
        },
        make_dpt,
    ),
    "segformer": ("segformer", "segmentation_models_pytorch", {**SHALLOW, "channels": 32}, make_segformer),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_same_outputs(name: str) -> None:
    """Every published weight is used or ignored by a rule, every own one given; at another size than the spec's.

    segmentation_models_pytorch takes multiples of 32 alone.
    """
    file, naming, parameters, make_reference = CASES[name]
    theirs = make_reference().eval()
    spec = load(MODELS / f"{file}.yaml", classes=7, **parameters)
    size = (32, 64) if naming.startswith("segmentation") else (33, 47)
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    randomise(theirs, image)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, naming, entries)
    ours = spec.build("torch").eval()
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    expected = theirs(image)
    expected = expected["out"] if isinstance(expected, dict) else expected
    assert difference(expected, ours(image)) < TOLERANCE

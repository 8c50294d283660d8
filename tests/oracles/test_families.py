"""Families of the library against torchvision's and timm's own: counts of all variants, and outputs at a small size.

Where a reference can be made with few layers, it is; of the others, the smallest variant is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, carry_and_compare

models = lazy_module("torchvision.models")
timm = lazy_module("timm")
mixers = lazy_module("timm.models.mlp_mixer")
metaformer = lazy_module("timm.models.metaformer")
convnext = lazy_module("timm.models.convnext")

# file -> variants that torchvision has under the same name; those of other files are counted where they are compared.
TORCHVISION = {
    "alexnet": ["alexnet"],
    "densenet": ["densenet121", "densenet161", "densenet169", "densenet201"],
    "efficientnet": [f"efficientnet_b{i}" for i in range(8)],
    "efficientnet_v2": ["efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"],
    "maxvit": ["maxvit_t"],
    "mnasnet": ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"],
    "mobilenet_v3": ["mobilenet_v3_large", "mobilenet_v3_small"],
    "regnet": [f"regnet_y_{w}" for w in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf 128gf".split()]
    + [f"regnet_x_{w}" for w in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf".split()],
    "resnet": ["resnext101_32x8d", "resnext101_64x4d", "wide_resnet101_2"],
    "shufflenet_v2": [f"shufflenet_v2_x{w}" for w in ("0_5", "1_0", "1_5", "2_0")],
    "squeezenet": ["squeezenet1_0", "squeezenet1_1"],
    "vgg": [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")],
    "video_resnet": ["mc3_18", "r2plus1d_18", "r3d_18"],
    "vit": ["vit_h_14"],
}
VARIANTS = [(file, name) for file, names in TORCHVISION.items() for name in names]
TIMM = {
    "ghostnet": ["ghostnet_050", "ghostnet_100", "ghostnet_130"],
    "convnext_v2": [
        f"convnextv2_{w}" for w in ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")
    ],
    "cait": [
        f"cait_{w}"
        for w in ("xxs24_224", "xxs36_224", "xs24_384", "s24_224", "s36_384", "m36_384", "m48_448")
    ],
    "deit": [f"deit_{w}{d}_patch16_224" for w in ("tiny", "small", "base") for d in ("", "_distilled")]
    + [
        f"deit3_{w}_224"
        for w in ("small_patch16", "medium_patch16", "base_patch16", "large_patch16", "huge_patch14")
    ],
    "hrnet": [
        "hrnet_w18_small",
        "hrnet_w18_small_v2",
        *(f"hrnet_w{w}" for w in (18, 30, 32, 40, 44, 48, 64)),
    ],
    "mobileone": [f"mobileone_s{i}" for i in range(5)],
    "pvt_v2": [f"pvt_v2_b{i}" for i in range(6)],
    "resnest": [f"resnest{w}" for w in ("14d", "26d", "50d", "101e", "200e", "269e")],
    "vovnet": ["vovnet39a", "vovnet57a"] + [f"ese_vovnet{w}" for w in ("19b_slim", "39b", "57b", "99b")],
    "gmlp": ["gmlp_ti16_224", "gmlp_s16_224", "gmlp_b16_224"],
    "mlp_mixer": [f"mixer_{w}_224" for w in ("s32", "s16", "b32", "b16", "l32", "l16")],
    "poolformer": [f"poolformer_{w}" for w in ("s12", "s24", "s36", "m36", "m48")],
    "repvgg": [f"repvgg_{w}" for w in ("a0", "a1", "a2", "b0", "b1", "b2", "b3")],
    "res2net": [
        f"res2net{w}" for w in ("50_26w_4s", "101_26w_4s", "50_26w_6s", "50_26w_8s", "50_48w_2s", "50_14w_8s")
    ],
    "resmlp": ["resmlp_12_224", "resmlp_24_224", "resmlp_36_224", "resmlp_big_24_224"],
    "resnet": ["seresnet50", "seresnext50_32x4d"],
}
TIMM_VARIANTS = [(file, name) for file, names in TIMM.items() for name in names]
# those that only help training, without which the library has these networks
HEADS = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def count(file: str, variant: str | None) -> int:
    return model_cost(build_graph(BACKBONES / f"{file}.yaml", variant=variant)).parameters


@pytest.mark.parametrize(("file", "variant"), VARIANTS, ids=[variant for _, variant in VARIANTS])
def test_parameters(file: str, variant: str) -> None:
    """As torchvision publishes them; of ViT-H, whose images have two sizes, for one of these."""
    published = {weights.meta["num_params"] for weights in models.get_model_weights(variant)}
    assert len(published) == (2 if variant == "vit_h_14" else 1)
    assert count(file, variant) in published


@pytest.mark.parametrize(("file", "variant"), TIMM_VARIANTS, ids=[variant for _, variant in TIMM_VARIANTS])
def test_parameters_of_timm(file: str, variant: str) -> None:
    with torch.device("meta"):
        reference = timm.create_model(variant, pretrained=False)
    assert count(file, variant) == sum(p.numel() for p in reference.parameters())


@pytest.mark.parametrize("variant", ["swin_v2_t", "swin_v2_s", "swin_v2_b"])
def test_parameters_without_biases_of_keys(variant: str) -> None:
    """torchvision has them, and sets them to 0."""
    [published, *_] = models.get_model_weights(variant)
    values = load(BACKBONES / "swin_v2.yaml", variant).graph.params
    keys = sum(d * values["features"] * 2**s for s, d in enumerate(values["depths"]))
    assert count("swin_v2", variant) == published.meta["num_params"] - keys


@pytest.mark.parametrize("name", HEADS)
def test_parameters_without_heads_for_training(name: str) -> None:
    with torch.device("meta"):
        reference = models.get_model(name, weights=None, init_weights=False)
    kept = (p for path, p in reference.named_parameters() if not path.startswith(HEADS[name]))
    assert count(name, None) == sum(p.numel() for p in kept)


def make_vgg() -> nn.Module:
    net = models.VGG(models.vgg.make_layers([64, "M", 128, 128, "M", 256, "M", 512, "M", 512, "M"], True), 7)
    net.classifier = make_classifier(512 * 49, 8, dropout_first=False)
    return net


def make_alexnet() -> nn.Module:
    net = models.AlexNet(7)
    net.classifier = make_classifier(256 * 36, 8, dropout_first=True)
    return net


def make_classifier(features: int, hidden: int, dropout_first: bool) -> nn.Module:
    layers = [
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 7),
    ]
    dropout = [0, 3] if dropout_first else [2, 5]
    for place in dropout:
        layers.insert(place, nn.Dropout())
    return nn.Sequential(*layers)


def make_efficientnet(rows: list[tuple[int, int, int, int, int, int]], **options: Any) -> nn.Module:
    settings = models.efficientnet.MBConvConfig
    net = models.EfficientNet([settings(*row) for row in rows], 0.2, num_classes=7, **options)
    assert isinstance(net, nn.Module)
    return net


def make_efficientnet_v2() -> nn.Module:
    fused, plain = models.efficientnet.FusedMBConvConfig, models.efficientnet.MBConvConfig
    rows = [
        fused(1, 3, 1, 8, 8, 2),
        fused(4, 3, 2, 8, 12, 2),
        fused(4, 3, 2, 12, 16, 1),
        plain(4, 3, 2, 16, 24, 2),
        plain(6, 3, 1, 24, 32, 1),
        plain(6, 3, 2, 32, 40, 1),
    ]
    return models.EfficientNet(  # type: ignore[no-any-return]
        rows, 0.2, num_classes=7, last_channel=1280, norm_layer=lambda n: nn.BatchNorm2d(n, eps=1e-3)
    )


def make_swin_v2() -> nn.Module:
    swin = models.swin_transformer
    net = models.SwinTransformer(
        [4, 4],
        12,
        [1, 2, 1, 1],
        [1, 2, 3, 6],
        [4, 4],
        num_classes=7,
        block=swin.SwinTransformerBlockV2,
        downsample_layer=swin.PatchMergingV2,
    ).double()
    for module in net.modules():
        if isinstance(module, swin.ShiftedWindowAttentionV2):
            distances = torch.arange(-3.0, 4.0) / 3 * 8  # its table has single precision
            scaled = distances.sign() * (distances.abs() + 1).log2() / 3
            table = torch.stack(torch.meshgrid(scaled, scaled, indexing="ij"), -1)
            assert (module.relative_coords_table - table).abs().max() < 1e-6
            module.relative_coords_table = table[None]
    assert isinstance(net, nn.Module)
    return net


def make_timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, pretrained=False, num_classes=7, **options)


def make_mixer(block: Any, **options: Any) -> nn.Module:
    net = mixers.MlpMixer(
        7, img_size=32, patch_size=8, num_blocks=2, embed_dim=24, block_layer=block, **options
    )
    assert isinstance(net, nn.Module)
    return net


def make_pool_former() -> nn.Module:
    return metaformer.MetaFormer(  # type: ignore[no-any-return]
        num_classes=7,
        depths=(1, 2, 1, 1),
        dims=(8, 12, 16, 24),
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=metaformer.GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=None,
        use_mlp_head=False,
    )


def make_video(factorized: bool, *frames: int) -> nn.Module:
    video = models.video.resnet
    makers = {3: video.Conv3DSimple, 1: video.Conv3DNoTemporal, 2: video.Conv2Plus1D}
    stem = video.R2Plus1dStem if factorized else video.BasicStem
    net = video.VideoResNet(video.BasicBlock, [makers[n] for n in frames], [1, 1, 1, 2], stem, 7)
    assert isinstance(net, nn.Module)
    return net


SEVEN = {"classes": 7}
SIZES = {
    "inception_v3": (123, 150),
    "maxvit": (64, 64),
    **dict.fromkeys(("mlp_mixer", "gmlp", "resmlp", "cait", "deit"), (32, 32)),
    "hrnet": (64, 96),
    "mobileone": (33, 47),
    "video_resnet": (32, 48),
}
SQUARE = {"height": 64, "width": 64}
SMALL_IMAGE = {"height": 32, "width": 32}
TOKENS = {"height": 32, "width": 32, "patch": 8}
Case = tuple[str, str | None, str, Mapping[str, Any], Callable[[], nn.Module]]
CASES: dict[str, Case] = {
    "alexnet": ("alexnet", None, "torchvision", {"hidden": 8, **SEVEN}, make_alexnet),
    "vgg": (
        "vgg",
        None,
        "torchvision",
        {"depths": [1, 2, 1, 1, 1], "norm": True, "hidden": 8, **SEVEN},
        make_vgg,
    ),
    "squeezenet1_0": ("squeezenet", None, "torchvision", SEVEN, lambda: models.squeezenet1_0(num_classes=7)),
    "squeezenet1_1": (
        "squeezenet",
        "squeezenet1_1",
        "torchvision",
        SEVEN,
        lambda: models.squeezenet1_1(num_classes=7),
    ),
    "densenet": (
        "densenet",
        None,
        "torchvision",
        {"depths": [2, 1, 3, 2], "growth": 8, "width": 16, **SEVEN},
        lambda: models.DenseNet(8, (2, 1, 3, 2), 16, num_classes=7),
    ),
    "shufflenet_v2": (
        "shufflenet_v2",
        None,
        "torchvision",
        {"depths": [2, 2, 1], "widths": [16, 32, 48], "last": 64, **SEVEN},
        lambda: models.ShuffleNetV2([2, 2, 1], [24, 16, 32, 48, 64], num_classes=7),
    ),
    "mnasnet0_5": ("mnasnet", "mnasnet0_5", "torchvision", SEVEN, lambda: models.mnasnet0_5(num_classes=7)),
    "googlenet": (
        "googlenet",
        None,
        "torchvision",
        {"transform_input": True, **SEVEN},
        lambda: models.GoogLeNet(7, True, transform_input=True, init_weights=False),
    ),
    "inception_v3": (
        "inception_v3",
        None,
        "torchvision",
        {"transform_input": True, **SEVEN},
        lambda: models.Inception3(7, True, transform_input=True, init_weights=False),
    ),
    "mobilenet_v3_small": (
        "mobilenet_v3",
        "mobilenet_v3_small",
        "torchvision",
        SEVEN,
        lambda: models.mobilenet_v3_small(num_classes=7),
    ),
    "mobilenet_v3_dilated": (
        "mobilenet_v3",
        "mobilenet_v3_small",
        "torchvision",
        {"dilated": True, **SEVEN},
        lambda: models.mobilenet_v3_small(num_classes=7, dilated=True),
    ),
    "efficientnet": (
        "efficientnet",
        None,
        "torchvision",
        {"width": 0.25, "depth": 0.5, **SEVEN},
        lambda: make_efficientnet(
            [
                (1, 3, 1, 8, 8, 1),
                (6, 3, 2, 8, 8, 1),
                (6, 5, 2, 8, 16, 1),
                (6, 3, 2, 16, 24, 2),
                (6, 5, 1, 24, 32, 2),
                (6, 5, 2, 32, 48, 2),
                (6, 3, 1, 48, 80, 1),
            ]
        ),
    ),
    "efficientnet_v2": (
        "efficientnet_v2",
        None,
        "torchvision",
        {"widths": [8, 12, 16, 24, 32, 40], "depths": [2, 2, 1, 2, 1, 1], **SEVEN},
        make_efficientnet_v2,
    ),
    "regnet_y_400mf": (
        "regnet",
        "regnet_y_400mf",
        "torchvision",
        SEVEN,
        lambda: models.regnet_y_400mf(num_classes=7),
    ),
    "swin_v2": (
        "swin_v2",
        None,
        "torchvision",
        {
            "features": 12,
            "depths": [1, 2, 1, 1],
            "heads": [1, 2, 3, 6],
            "window": 4,
            "height": 97,
            "width": 131,
            **SEVEN,
        },
        make_swin_v2,
    ),
    "maxvit": (
        "maxvit",
        None,
        "torchvision",
        {
            "stem": 8,
            "widths": [8, 12, 16, 24],
            "depths": [1, 2, 1, 1],
            "head_size": 4,
            "window": 2,
            **SQUARE,
            **SEVEN,
        },
        lambda: models.MaxVit((64, 64), 8, 2, [8, 12, 16, 24], [1, 2, 1, 1], 4, 0.2, num_classes=7).double(),
    ),
    "timm_cait": (
        "cait",
        None,
        "timm",
        {**SMALL_IMAGE, "depth": 2, "features": 24, **SEVEN},
        make_timm("cait_xxs24_224", img_size=32, depth=2, embed_dim=24),
    ),
    "timm_deit_distilled": (
        "deit",
        "deit_tiny_distilled_patch16_224",
        "timm",
        {**SMALL_IMAGE, "depth": 2, "features": 24, **SEVEN},
        make_timm("deit_tiny_distilled_patch16_224", img_size=32, depth=2, embed_dim=24),
    ),
    "timm_deit3": (
        "deit",
        "deit3_small_patch16_224",
        "timm",
        {**SMALL_IMAGE, "depth": 2, "features": 24, **SEVEN},
        make_timm("deit3_small_patch16_224", img_size=32, depth=2, embed_dim=24),
    ),
    "timm_hrnet": ("hrnet", "hrnet_w18_small", "timm", SEVEN, make_timm("hrnet_w18_small")),
    "timm_mobileone_s0": ("mobileone", "mobileone_s0", "timm", SEVEN, make_timm("mobileone_s0")),
    "timm_pvt_v2": (
        "pvt_v2",
        None,
        "timm",
        {"depths": [1, 2, 1, 1], **SEVEN},
        make_timm("pvt_v2_b0", depths=(1, 2, 1, 1)),
    ),
    "timm_resnest": (
        "resnest",
        None,
        "timm",
        {"depths": [1, 2, 1, 1], **SEVEN},
        make_timm("resnest14d", layers=[1, 2, 1, 1]),
    ),
    "timm_vovnet": (
        "vovnet",
        "ese_vovnet19b_slim",
        "timm",
        {"depths": [1, 2, 1, 1], **SEVEN},
        make_timm("ese_vovnet19b_slim", block_per_stage=[1, 2, 1, 1]),
    ),
    "mc3_18": (
        "video_resnet",
        "mc3_18",
        "torchvision",
        {"depths": [1, 1, 1, 2], **SEVEN},
        lambda: make_video(False, 3, 1, 1, 1),
    ),
    "r2plus1d_18": (
        "video_resnet",
        "r2plus1d_18",
        "torchvision",
        {"depths": [1, 1, 1, 2], **SEVEN},
        lambda: make_video(True, 2, 2, 2, 2),
    ),
    "timm_efficientnet_b0": ("efficientnet", None, "timm", SEVEN, make_timm("efficientnet_b0")),
    "timm_regnetx_002": (
        "regnet",
        None,
        "timm",
        {
            "depths": [1, 1, 4, 7],
            "widths": [24, 56, 152, 368],
            "groups": [8, 8, 8, 8],
            "squeeze": 0.0,
            **SEVEN,
        },
        make_timm("regnetx_002"),
    ),
    "timm_ghostnet_050": ("ghostnet", "ghostnet_050", "timm", SEVEN, make_timm("ghostnet_050")),
    "timm_mlp_mixer": (
        "mlp_mixer",
        None,
        "timm",
        {**TOKENS, "depth": 2, "features": 24, **SEVEN},
        lambda: make_mixer(mixers.MixerBlock),
    ),
    "timm_gmlp": (
        "gmlp",
        None,
        "timm",
        {**TOKENS, "depth": 2, "features": 24, **SEVEN},
        lambda: make_mixer(mixers.SpatialGatingBlock, mlp_ratio=6, mlp_layer=timm.layers.GatedMlp),
    ),
    "timm_resmlp": (
        "resmlp",
        None,
        "timm",
        {**TOKENS, "depth": 2, "features": 24, **SEVEN},
        lambda: make_mixer(mixers.ResBlock, mlp_ratio=4, norm_layer=mixers.Affine),
    ),
    "timm_poolformer": (
        "poolformer",
        None,
        "timm",
        {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 24], **SEVEN},
        make_pool_former,
    ),
    "timm_res2net": (
        "res2net",
        None,
        "timm",
        {"depths": [2, 1, 1, 1], **SEVEN},
        make_timm("res2net50_26w_4s", layers=[2, 1, 1, 1]),
    ),
    "timm_repvgg_a0": ("repvgg", None, "timm", SEVEN, make_timm("repvgg_a0")),
    "timm_convnextv2": (
        "convnext_v2",
        None,
        "timm",
        {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 24], **SEVEN},
        lambda: convnext.ConvNeXt(
            num_classes=7,
            depths=(1, 2, 1, 1),
            dims=(8, 12, 16, 24),
            use_grn=True,
            ls_init_value=None,
            conv_mlp=True,
        ),
    ),
    "timm_seresnet50": (
        "resnet",
        "seresnet50",
        "timm",
        {"depths": [1, 1, 1, 2], **SEVEN},
        make_timm("seresnet50", layers=[1, 1, 1, 2]),
    ),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_same_outputs(name: str) -> None:
    """At sizes that are odd and not square; every published weight is used or ignored by a rule, every own one given."""
    file, variant, naming, parameters, make_reference = CASES[name]
    spec = load(BACKBONES / f"{file}.yaml", variant, **parameters)
    height, width = SIZES.get(file, (97, 131))
    frames = [5] if file == "video_resnet" else []
    images = torch.randn(2, 3, *frames, height, width, generator=torch.Generator().manual_seed(height))
    assert carry_and_compare(spec, make_reference(), naming, images) < TOLERANCE

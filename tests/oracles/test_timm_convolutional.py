"""Convolutional families of the library against timm's own: counts of all variants, and outputs at small sizes.

timm makes each reference with few layers; where it cannot, the smallest variant is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from specbuild import load
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, carry_and_compare, check_parameters_of_timm, images

timm = lazy_module("timm")

# file -> variants, each of which timm has under the same name
FAMILIES: dict[str, list[str]] = {
    "resnetv2": [f"resnetv2_{d}{kind}" for d in (18, 34, 50, 101, 152) for kind in ("", "d")]
    + ["resnetv2_50t", "resnetv2_50d_gn"]
    + [f"resnetv2_{w}_bit" for w in ("50x1", "50x3", "101x1", "101x3", "152x2", "152x4")],
    "senet": [f"legacy_seresnet{d}" for d in (18, 34, 50, 101, 152)]
    + [f"legacy_seresnext{d}_32x4d" for d in (26, 50, 101)]
    + ["legacy_senet154"],
    "sknet": ["skresnet18", "skresnet34", "skresnet50", "skresnet50d", "skresnext50_32x4d"],
    "dla": [f"dla{w}" for w in ("34", "46_c", "46x_c", "60x_c", "60", "60x", "102", "102x", "102x2", "169")],
    "mobilenet_v4": [f"mobilenetv4_conv_{w}" for w in ("small_035", "small_050", "small", "medium", "large")]
    + [f"mobilenetv4_hybrid_{w}" for w in ("medium", "large")],
    "cspnet": ["cspresnet50", "cspresnet50d", "cspresnet50w", "cspresnext50", "cspdarknet53", "darknet53"]
    + [f"cs3darknet_{w}" for w in "smlx"],
    "nfnet": [f"nfnet_f{n}" for n in range(8)]
    + ["nfnet_l0", *(f"eca_nfnet_l{n}" for n in range(3)), "nf_resnet50", "nf_resnet101"],
    "mobilevit": ["mobilevit_xxs", "mobilevit_xs", "mobilevit_s"],
    "mobilevit_v2": [f"mobilevitv2_{w}" for w in ("050", "075", "100", "125", "150", "175", "200")],
    "inception_resnet_v2": ["inception_resnet_v2"],
    "nasnet": ["nasnetalarge"],
    "dpn": [f"dpn{w}" for w in ("48b", "68", "68b", "92", "98", "131", "107")],
}
VARIANTS = [(file, variant) for file, variants in FAMILIES.items() for variant in variants]

# file, variant, arguments of the spec, arguments of timm's model
Case = tuple[str, str, Mapping[str, Any], Mapping[str, Any]]
SHALLOW = [1, 2, 1, 1]
CASES: list[Case] = [
    ("resnetv2", "resnetv2_50x1_bit", {}, {}),
    ("resnetv2", "resnetv2_18", {"depths": SHALLOW}, {"layers": SHALLOW}),
    ("resnetv2", "resnetv2_50t", {"depths": SHALLOW}, {"layers": SHALLOW}),
    ("resnetv2", "resnetv2_50d_gn", {"depths": SHALLOW}, {"layers": SHALLOW}),
    *(
        ("senet", variant, {"depths": SHALLOW}, {"layers": SHALLOW})
        for variant in (
            "legacy_seresnet18",
            "legacy_seresnet50",
            "legacy_seresnext50_32x4d",
            "legacy_senet154",
        )
    ),
    ("sknet", "skresnet18", {"depths": SHALLOW}, {"layers": SHALLOW}),
    ("sknet", "skresnet50d", {"depths": SHALLOW}, {"layers": SHALLOW}),
    ("sknet", "skresnext50_32x4d", {"depths": SHALLOW}, {"layers": SHALLOW}),
    ("dla", "dla46x_c", {}, {}),
    ("dla", "dla34", {}, {}),
    ("dla", "dla102", {"widths": [8, 16, 32, 64, 64, 128]}, {"channels": [8, 16, 32, 64, 64, 128]}),
    ("mobilenet_v4", "mobilenetv4_conv_small_035", {}, {}),
    ("mobilenet_v4", "mobilenetv4_hybrid_medium", {}, {}),
    ("cspnet", "cspresnext50", {}, {}),
    ("cspnet", "cspdarknet53", {}, {}),
    ("cspnet", "darknet53", {}, {}),
    ("cspnet", "cs3darknet_s", {}, {}),
    ("nfnet", "nfnet_l0", {"depths": SHALLOW}, {"depths": SHALLOW}),
    ("nfnet", "eca_nfnet_l0", {"depths": SHALLOW}, {"depths": SHALLOW}),
    ("nfnet", "nf_resnet50", {"depths": SHALLOW}, {"depths": SHALLOW}),
    ("mobilevit", "mobilevit_xxs", {}, {}),
    ("mobilevit_v2", "mobilevitv2_050", {}, {}),
    ("inception_resnet_v2", "inception_resnet_v2", {}, {}),
    ("nasnet", "nasnetalarge", {"stem": 8, "width": 8}, {"stem_size": 8, "num_features": 192}),
    ("dpn", "dpn48b", {"depths": SHALLOW}, {"k_sec": SHALLOW}),
    ("dpn", "dpn68", {"depths": SHALLOW}, {"k_sec": SHALLOW}),
    ("dpn", "dpn92", {"depths": SHALLOW}, {"k_sec": SHALLOW}),
]

# odd and not square, where the reference takes such sizes
SIZES = {"dla": (64, 96)}


@pytest.mark.parametrize(("file", "variant"), VARIANTS, ids=[variant for _, variant in VARIANTS])
def test_parameters(file: str, variant: str) -> None:
    check_parameters_of_timm(file, variant)


@pytest.mark.parametrize(("file", "variant", "parameters", "options"), CASES, ids=[c[1] for c in CASES])
def test_same_outputs(
    file: str, variant: str, parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    theirs = timm.create_model(variant, pretrained=False, num_classes=7, **options)
    spec = load(BACKBONES / f"{file}.yaml", variant, classes=7, **parameters)
    assert carry_and_compare(spec, theirs, "timm", images(*SIZES.get(file, (97, 131)))) < TOLERANCE

"""Transformers and hybrids of the library against timm's own: counts of all variants, and outputs at small sizes.

timm makes each reference with few layers; where it cannot, the smallest variant is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from specbuild import load
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES, TOLERANCE, carry_and_compare, check_parameters_of_timm, images

timm = lazy_module("timm")

# file -> variants, each of which timm has under the same name
FAMILIES: dict[str, list[str]] = {
    "beit": [f"beit_base_patch16_{w}" for w in (224, 384)]
    + [f"beit_large_patch16_{w}" for w in (224, 384, 512)]
    + [f"beitv2_{w}_patch16_224" for w in ("base", "large")],
    "hiera": [f"hiera_{w}_224" for w in ("tiny", "small", "base", "base_plus", "large", "huge")],
    "efficientformer": [f"efficientformer_l{n}" for n in (1, 3, 7)],
    "dinov2": [f"vit_{w}_patch14{reg}_dinov2" for w in ("small", "base", "large") for reg in ("", "_reg4")],
    "crossvit": [f"crossvit_{w}_240" for w in ("tiny", "small", "base", "9", "15", "18")]
    + [f"crossvit_{w}_dagger_240" for w in ("9", "15", "18")],
    "davit": [f"davit_{w}" for w in ("tiny", "small", "base", "large", "huge", "giant")],
    "eva02": [f"eva02_{w}_patch14_224" for w in ("tiny", "small", "base", "large")]
    + [
        f"eva02_{w}"
        for w in ("tiny_patch14_336", "small_patch14_336", "base_patch14_448", "large_patch14_448")
    ],
    "coatnet": [f"coatnet_{n}_224" for n in range(6)]
    + [f"coatnet_{w}_rw_224" for w in ("pico", "nano", "0", "1", "2", "3")]
    + [f"coatnet_rmlp_{w}_224" for w in ("nano_rw", "0_rw", "1_rw", "1_rw2", "2_rw", "3_rw")]
    + ["coatnet_bn_0_rw_224", "coatnext_nano_rw_224"],
    "edgenext": [f"edgenext_{w}" for w in ("xx_small", "x_small", "small", "base")],
    "levit": [f"levit_{w}" for w in ("128s", "128", "192", "256", "384", "512", "256d", "512d")],
    "fastvit": [
        f"fastvit_{w}" for w in ("t8", "t12", "s12", "sa12", "sa24", "sa36", "ma36", "mci0", "mci1", "mci2")
    ],
    "focalnet": [f"focalnet_{w}_{kind}" for w in ("tiny", "small", "base") for kind in ("srf", "lrf")]
    + [f"focalnet_{w}_{kind}" for w in ("large", "xlarge", "huge") for kind in ("fl3", "fl4")],
    "twins": [f"twins_{kind}_{w}" for kind in ("pcpvt", "svt") for w in ("small", "base", "large")],
    "xcit": [
        f"xcit_{w}_p{p}_224"
        for p in (16, 8)
        for w in ("nano_12", "tiny_12", "small_12", "tiny_24", "small_24", "medium_24", "large_24")
    ],
}
VARIANTS = [(file, variant) for file, variants in FAMILIES.items() for variant in variants]

# file, variant, arguments of the spec, arguments of timm's model
Case = tuple[str, str, Mapping[str, Any], Mapping[str, Any]]
SHALLOW = [1, 2, 1, 1]
SMALL = {"height": 48, "width": 80, "depth": 2, "features": 24}
SMALL_IN_TIMM = {"img_size": (48, 80), "depth": 2, "embed_dim": 24}
SMALL_OF_14 = {"height": 42, "width": 70, "depth": 2, "features": 48}
SMALL_OF_14_IN_TIMM = {"img_size": (42, 70), "depth": 2, "embed_dim": 48}
CASES: list[Case] = [
    ("beit", "beit_base_patch16_224", SMALL, SMALL_IN_TIMM),
    ("crossvit", "crossvit_tiny_240", {"height": 120, "width": 240}, {"img_size": (120, 240)}),
    ("crossvit", "crossvit_9_dagger_240", {"height": 120, "width": 240}, {"img_size": (120, 240)}),
    ("dinov2", "vit_small_patch14_dinov2", SMALL_OF_14, SMALL_OF_14_IN_TIMM),
    ("dinov2", "vit_small_patch14_reg4_dinov2", SMALL_OF_14, SMALL_OF_14_IN_TIMM),
    ("eva02", "eva02_tiny_patch14_224", SMALL_OF_14, SMALL_OF_14_IN_TIMM),
    ("eva02", "eva02_base_patch14_224", SMALL_OF_14, SMALL_OF_14_IN_TIMM),
    (
        "hiera",
        "hiera_tiny_224",
        {"height": 64, "width": 96, "depths": SHALLOW, "features": 12},
        {"img_size": (64, 96), "stages": tuple(SHALLOW), "embed_dim": 12},
    ),
    (
        "davit",
        "davit_tiny",
        {"depths": SHALLOW, "widths": [12, 24, 36, 48], "heads": [1, 2, 3, 4]},
        {"depths": SHALLOW, "embed_dims": (12, 24, 36, 48), "num_heads": (1, 2, 3, 4)},
    ),
    *(
        (
            "coatnet",
            variant,
            {"height": 64, "width": 96, "depths": [1, 2, 2, 1], "widths": [64, 64, 32, 64]},
            {"img_size": (64, 96), "depths": (1, 2, 2, 1), "embed_dim": (64, 64, 32, 64)},
        )
        for variant in (
            "coatnet_0_224",
            "coatnet_nano_rw_224",
            "coatnet_1_rw_224",
            "coatnet_3_rw_224",
            "coatnet_bn_0_rw_224",
            "coatnet_rmlp_nano_rw_224",
            "coatnet_rmlp_1_rw_224",
            "coatnet_rmlp_1_rw2_224",
            "coatnet_rmlp_2_rw_224",
            "coatnext_nano_rw_224",
        )
    ),
    ("edgenext", "edgenext_xx_small", {}, {}),
    ("efficientformer", "efficientformer_l1", {}, {}),
    ("levit", "levit_128s", {"height": 96, "width": 144}, {"img_size": (96, 144)}),
    *(
        (
            "fastvit",
            variant,
            {"depths": SHALLOW, "widths": [32, 32, 64, 64]},
            {"layers": SHALLOW, "embed_dims": (32, 32, 64, 64)},
        )
        for variant in ("fastvit_t8", "fastvit_sa12", "fastvit_mci0")
    ),
    ("focalnet", "focalnet_tiny_lrf", {}, {}),
    (
        "focalnet",
        "focalnet_tiny_srf",
        {"post_norm": True, "inner_norm": True, "overlap": True, "layer_scale": 1e-4},
        {
            "use_post_norm": True,
            "use_post_norm_in_modulation": True,
            "use_overlap_down": True,
            "layerscale_value": 1e-4,
        },
    ),
    ("twins", "twins_pcpvt_small", {"depths": SHALLOW}, {"depths": SHALLOW}),
    ("twins", "twins_svt_small", {"depths": SHALLOW}, {"depths": SHALLOW}),
    ("xcit", "xcit_nano_12_p16_224", {"depth": 2}, {"depth": 2}),
    ("xcit", "xcit_tiny_12_p8_224", {"depth": 2}, {"depth": 2}),
]
# odd and not square, where the reference takes such sizes
SIZES = {
    "crossvit": (120, 240),
    "levit": (96, 144),
    "beit": (48, 80),
    "hiera": (64, 96),
    "coatnet": (64, 96),
    "dinov2": (42, 70),
    "eva02": (42, 70),
    "efficientformer": (195, 217),
}


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm asks for single precision in sines of positions: here it gets double."""
    monkeypatch.setattr(torch, "float32", torch.float64)


def use_double_rotations(net: torch.nn.Module) -> None:
    """The table of rotations has single precision; that of the paper takes its place."""
    rope = getattr(net, "rope", None)
    if isinstance(rope, torch.nn.Module):
        bands = 10000 ** -(torch.arange(rope.dim // 4) / (rope.dim // 4))
        rows, columns = (torch.arange(n) / n * 16 for n in rope.feat_shape)
        places = torch.cartesian_prod(rows, columns)
        angles = (places[:, :, None] * bands).flatten(1).repeat_interleave(2, 1)
        exact = torch.cat([angles.sin(), angles.cos()], 1)
        assert (rope.pos_embed - exact).abs().max() < 1e-6
        rope.pos_embed = exact


@pytest.mark.parametrize(("file", "variant"), VARIANTS, ids=[variant for _, variant in VARIANTS])
def test_parameters(file: str, variant: str) -> None:
    check_parameters_of_timm(file, variant)


@pytest.mark.parametrize(("file", "variant", "parameters", "options"), CASES, ids=[c[1] for c in CASES])
def test_same_outputs(
    file: str, variant: str, parameters: Mapping[str, Any], options: Mapping[str, Any], double: None
) -> None:
    theirs = timm.create_model(variant, pretrained=False, num_classes=7, **options)
    use_double_rotations(theirs)
    spec = load(BACKBONES / f"{file}.yaml", variant, classes=7, **parameters)
    assert carry_and_compare(spec, theirs, "timm", images(*SIZES.get(file, (97, 131)))) < TOLERANCE

"""U-Net++, the residual U-Net, CLIP and MAE: counts, outputs as modules of PyTorch with the authors' names give them, both frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import TOLERANCE, Applied, check_parity, measure_distance
from tests.oracles.randomised import randomise
from tests.parity_runner import ParityOf

vision_transformer = lazy_module("timm.models.vision_transformer")
smp = lazy_module("segmentation_models_pytorch")

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"

# as the authors' models count them; those of MAE less their two tables of positions, which are not trained
PUBLISHED = {
    ("clip", "clip_vit_b_32"): 151_277_313,
    ("clip", "clip_vit_b_16"): 149_620_737,
    ("clip", "clip_vit_l_14"): 427_616_513,
    ("clip", "clip_vit_l_14_336"): 427_944_193,
    ("masked_autoencoder", "mae_vit_base_patch16"): 111_907_840 - 197 * (768 + 512),
    ("masked_autoencoder", "mae_vit_large_patch16"): 329_541_888 - 197 * (1024 + 512),
}


@pytest.mark.parametrize(("file", "variant"), PUBLISHED, ids=lambda x: x)
def test_parameters(file: str, variant: str) -> None:
    assert count(file, variant) == PUBLISHED[file, variant]


@pytest.mark.parametrize("number", [18, 34, 50, 101])
def test_parameters_on_a_resnet(number: int) -> None:
    with torch.device("meta"):
        reference = smp.Unet(f"resnet{number}", encoder_weights=None)
    assert count("backbone_unet", f"unet_resnet{number}") == sum(p.numel() for p in reference.parameters())


def test_parameters_of_unets() -> None:
    with torch.device("meta"):
        nested = NestedUnet([32, 64, 128, 256, 512], classes=1, supervised=False)
        supervised = NestedUnet([32, 64, 128, 256, 512], classes=1, supervised=True)
        residual = ResidualUnet([64, 128, 256, 512], classes=1)
    for net, variant in ((nested, "unet_plus_plus"), (supervised, "unet_plus_plus_supervised")):
        assert count("nested_unet", variant) == sum(p.numel() for p in net.parameters())
    assert count("residual_unet", "residual_unet") == sum(p.numel() for p in residual.parameters())


def count(file: str, variant: str) -> int:
    return model_cost(build_graph(MODELS / f"{file}.yaml", variant=variant)).parameters


class NestedUnit(nn.Module):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, padding=1), nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class NestedUnet(nn.Module):
    """Node (i, j) of the paper's figure 1a reads all nodes of its level before it and the one below."""

    def __init__(self, widths: list[int], classes: int, supervised: bool) -> None:
        super().__init__()
        self.depth, self.supervised = len(widths), supervised
        for i in range(self.depth):
            self.add_module(f"conv{i}_0", NestedUnit(widths[i - 1] if i else 3, widths[i]))
            for j in range(1, self.depth - i):
                self.add_module(f"conv{i}_{j}", NestedUnit(j * widths[i] + widths[i + 1], widths[i]))
        for name in [f"final{n}" for n in range(1, self.depth - 1) if supervised] + ["final"]:
            self.add_module(name, nn.Conv2d(widths[0], classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        nodes: dict[tuple[int, int], Tensor] = {}
        for i in range(self.depth):
            nodes[i, 0] = getattr(self, f"conv{i}_0")(F.max_pool2d(nodes[i - 1, 0], 2) if i else image)
        for j in range(1, self.depth):
            for i in range(self.depth - j):
                below = F.interpolate(
                    nodes[i + 1, j - 1], nodes[i, 0].shape[2:], mode="bilinear", align_corners=True
                )
                before = [nodes[i, k] for k in range(j)]
                nodes[i, j] = getattr(self, f"conv{i}_{j}")(torch.cat([*before, below], 1))
        last: Tensor = self.final(nodes[0, self.depth - 1])
        if not self.supervised:
            return last
        others = [getattr(self, f"final{n}")(nodes[0, n]) for n in range(1, self.depth - 1)]
        return torch.stack([*others, last]).mean(0)


class ResidualUnit(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int = 1, first: bool = False) -> None:
        super().__init__()
        self.first = first
        if not first:
            self.bn1 = nn.BatchNorm2d(inner)
        self.conv1, self.bn2 = nn.Conv2d(inner, outer, 3, stride, 1), nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        self.shortcut, self.shortcut_bn = nn.Conv2d(inner, outer, 1, stride), nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x if self.first else F.relu(self.bn1(x)))
        return self.conv2(F.relu(self.bn2(y))) + self.shortcut_bn(self.shortcut(x))  # type: ignore[no-any-return]


class ResidualUnet(nn.Module):
    def __init__(self, widths: list[int], classes: int) -> None:
        super().__init__()
        a, b, c, d = widths
        self.down1, self.down2 = ResidualUnit(3, a, first=True), ResidualUnit(a, b, 2)
        self.down3, self.bridge = ResidualUnit(b, c, 2), ResidualUnit(c, d, 2)
        self.up3, self.up2, self.up1 = ResidualUnit(c + d, c), ResidualUnit(b + c, b), ResidualUnit(a + b, a)
        self.scores = nn.Conv2d(a, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        kept = [self.down1(image)]
        kept += [self.down2(kept[0])]
        kept += [self.down3(kept[1])]
        x = self.bridge(kept[2])
        for unit in (self.up3, self.up2, self.up1):
            skip = kept.pop()
            wide = F.interpolate(x, skip.shape[2:], mode="bilinear")
            x = unit(torch.cat([wide, skip], 1))
        return self.scores(x)  # type: ignore[no-any-return]


class QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ClipLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        for name, part in zip(
            ("c_fc", "gelu", "c_proj"),
            (nn.Linear(width, 4 * width), QuickGelu(), nn.Linear(4 * width, width)),
            strict=True,
        ):
            self.mlp.add_module(name, part)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class ClipLayers(nn.Module):
    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ClipLayer(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.resblocks:
            x = layer(x, mask)
        return x


class ClipVision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 4, 4, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(8))
        self.positional_embedding = nn.Parameter(torch.zeros(10, 8))
        self.ln_pre, self.ln_post = nn.LayerNorm(8), nn.LayerNorm(8)
        self.transformer = ClipLayers(8, 2, 2)
        self.proj = nn.Parameter(torch.zeros(8, 6))

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj  # type: ignore[no-any-return]


class Clip(nn.Module):
    """With the names of OpenAI's."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = ClipVision()
        self.transformer = ClipLayers(12, 3, 2)
        self.token_embedding = nn.Embedding(11, 12)
        self.positional_embedding = nn.Parameter(torch.zeros(7, 12))
        self.ln_final = nn.LayerNorm(12)
        self.text_projection = nn.Parameter(torch.zeros(12, 6))
        self.logit_scale = nn.Parameter(torch.zeros([]))

    def forward(self, image: Tensor, tokens: Tensor) -> list[Tensor]:
        seen = F.normalize(self.visual(image), dim=-1)
        mask = torch.full((7, 7), -torch.inf).triu(1)
        x = self.transformer(self.token_embedding(tokens) + self.positional_embedding, mask)
        ends = self.ln_final(x)[torch.arange(len(x)), tokens.argmax(-1)]
        read = F.normalize(ends @ self.text_projection, dim=-1)
        return [seen, read, self.logit_scale.exp() * (seen * read).sum(-1)]


def grid_positions(features: int, side: int) -> Tensor:
    """As the authors' `get_2d_sincos_pos_embed`: columns first."""
    omega = 10000.0 ** -(torch.arange(features // 4).double() / (features / 4))
    rows, columns = torch.meshgrid(torch.arange(side).double(), torch.arange(side).double(), indexing="ij")
    halves = [place.reshape(-1, 1) * omega for place in (columns, rows)]
    return torch.cat([f(half) for half in halves for f in (torch.sin, torch.cos)], 1)


class Autoencoder(nn.Module):
    """With the names of the authors' code."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, 8, 4, 4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        norm = nn.LayerNorm
        self.blocks = nn.ModuleList(vision_transformer.Block(8, 2, qkv_bias=True) for _ in range(2))
        self.norm, self.decoder_norm = norm(8, eps=1e-6), norm(12, eps=1e-6)
        self.decoder_embed, self.decoder_pred = nn.Linear(8, 12), nn.Linear(12, 48)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 12))
        self.decoder_blocks = nn.ModuleList(vision_transformer.Block(12, 3, qkv_bias=True) for _ in range(2))
        for module in self.modules():
            if isinstance(module, norm):
                module.eps = 1e-6

    def forward(self, image: Tensor, visible: Tensor, places: Tensor) -> Tensor:
        x = self.patch_embed.proj(image).flatten(2).transpose(1, 2) + grid_positions(8, 3)  # type: ignore[operator]
        x = x.gather(1, visible.long()[:, :, None].expand(-1, -1, 8))
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))
        unseen = self.mask_token.expand(len(x), places.shape[1] - visible.shape[1], -1)
        shuffled = torch.cat([x[:, 1:], unseen], 1)
        restored = shuffled.gather(1, places.long()[:, :, None].expand(-1, -1, 12)) + grid_positions(12, 3)
        x = torch.cat([x[:, :1], restored], 1)
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:]  # type: ignore[no-any-return]


def give_inputs(file: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    if file == "clip":
        tokens = torch.randint(0, 10, (3, 7), generator=generator, dtype=torch.int32)
        tokens[[0, 1, 2], [3, 6, 1]] = 10
        return [torch.randn(3, 3, 12, 12, generator=generator), tokens]
    if file == "masked_autoencoder":
        order = torch.stack([torch.randperm(9, generator=generator) for _ in range(2)])
        ranks = order.argsort(1)
        return [torch.randn(2, 3, 12, 12, generator=generator), order[:, :4].int(), ranks.int()]
    return [torch.randn(2, 3, 32, 48, generator=generator)]


# file, naming, arguments, reference
SMALL_CLIP = {
    "size": 12,
    "patch": 4,
    "width": 8,
    "depth": 2,
    "heads": 2,
    "vocabulary": 11,
    "length": 7,
    "text_width": 12,
    "text_depth": 2,
    "text_heads": 3,
    "features": 6,
}
SMALL_MAE = {
    "size": 12,
    "patch": 4,
    "kept": 4,
    "features": 8,
    "depth": 2,
    "heads": 2,
    "decoder_features": 12,
    "decoder_depth": 2,
    "decoder_heads": 3,
}
NARROW = {"widths": [4, 6, 8, 10, 12], "classes": 2}
CASES: dict[str, tuple[str, str, Mapping[str, Any], Any]] = {
    "nested": ("nested_unet", "", NARROW, lambda: NestedUnet([4, 6, 8, 10, 12], 2, False)),
    "supervised": (
        "nested_unet",
        "",
        {**NARROW, "supervised": True},
        lambda: NestedUnet([4, 6, 8, 10, 12], 2, True),
    ),
    "residual": (
        "residual_unet",
        "",
        {"widths": [4, 6, 8, 10], "classes": 2},
        lambda: ResidualUnet([4, 6, 8, 10], 2),
    ),
    "clip": ("clip", "openai", SMALL_CLIP, Clip),
    "mae": ("masked_autoencoder", "authors", SMALL_MAE, Autoencoder),
}


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_same_outputs(name: str) -> None:
    """Every published weight is used or ignored by a rule, every own one given."""
    file, naming, arguments, make_reference = CASES[name]
    theirs, inputs = make_reference(), give_inputs(file)
    randomise(Applied(theirs, inputs), inputs[0])
    state = theirs.state_dict()
    spec = load(MODELS / f"{file}.yaml", **arguments)
    if naming:
        entries = {key: value.numpy() for key, value in state.items()}
        carried = convert_published_weights(spec.graph, naming, entries)
        state = {key: torch.from_numpy(value) for key, value in carried.items()}
    ours = spec.build("torch").to(inputs[0].dtype)
    ours.load_state_dict(state, strict=True)
    expected, found = theirs.eval()(*inputs), ours.eval()(*inputs)
    if isinstance(expected, Tensor):
        expected, found = [expected], [found]
    for a, b in zip(found, expected, strict=True):
        assert measure_distance(a, b) < TOLERANCE


def parity_case(name: str) -> ParityCase:
    file, _, arguments, _ = CASES[name]
    if file.endswith("unet"):
        arguments = {**arguments, "classes": 2}
    model = build_graph(MODELS / f"{file}.yaml", arguments)
    return ParityCase(name, model, batch=2, modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("name", ["clip", "mae", "supervised", "residual"])
def test_parity(name: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

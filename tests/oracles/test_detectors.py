"""Detectors of the library: DETR and a YOLO, written once more in PyTorch from their papers and public descriptions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
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
from tests.oracles.library.shelf import TOLERANCE, list_values, measure_distance
from tests.oracles.randomised import randomise
from tests.parity_runner import ParityOf

models = lazy_module("torchvision.models")
utilities = lazy_module("torchvision.models._utils")

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"
# As https://github.com/ultralytics/ultralytics counts them; the 16 numbers of a fixed convolution are a table here.
YOLO = {"n": 3_157_200, "s": 11_166_560, "m": 25_902_640, "l": 43_691_520, "x": 68_229_648}


@pytest.mark.parametrize("variant", YOLO)
def test_parameters_of_yolo(variant: str) -> None:
    assert count("split_yolo", variant) == YOLO[variant] - 16


def test_parameters_of_detr() -> None:
    """41,302,368 are trained by the authors; the first layers are not, and neither is any batch norm of the ResNet."""
    with torch.device("meta"):
        resnet = models.resnet50(weights=None)
    fixed = [p for name, p in resnet.named_parameters() if "fc." not in name]
    frozen = [p for p in fixed if p.ndim == 1]
    first = [
        p for name, p in resnet.named_parameters() if p.ndim > 1 and name.startswith(("conv1", "layer1"))
    ]
    assert count("detr", "detr_resnet50") == 41_302_368 + sum(p.numel() for p in [*frozen, *first])


def count(file: str, variant: str) -> int:
    return model_cost(build_graph(MODELS / f"{file}.yaml", variant=variant)).parameters


def sines(height: int, width: int, features: int) -> Tensor:
    """Appendix A.4 of arXiv 2005.12872."""
    table = torch.zeros(features, height, width)
    half = features // 2
    for channel in range(features):
        k = channel % half
        for row in range(height):
            for column in range(width):
                place = (row + 1) / (height + 1e-6) if channel < half else (column + 1) / (width + 1e-6)
                angle = place * 2 * math.pi / 10000 ** (k // 2 * 2 / half)
                table[channel, row, column] = math.cos(angle) if k % 2 else math.sin(angle)
    return table


class Attending(nn.Module):
    def __init__(self, decodes: bool) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(16, 2, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(16, 24), nn.Linear(24, 16)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        if decodes:
            self.multihead_attn = nn.MultiheadAttention(16, 2, batch_first=True)
            self.norm3 = nn.LayerNorm(16)

    def forward(self, x: Tensor, place: Tensor, memory: Tensor | None = None, asked: Any = None) -> Tensor:
        x = self.norm1(x + self.self_attn(x + place, x + place, x)[0])
        if memory is None:
            return self.norm2(x + self.linear2(F.relu(self.linear1(x))))  # type: ignore[no-any-return]
        x = self.norm2(x + self.multihead_attn(x + place, asked, memory)[0])
        return self.norm3(x + self.linear2(F.relu(self.linear1(x))))  # type: ignore[no-any-return]


class Objects(nn.Module):
    """Figure 10 of arXiv 2005.12872."""

    def __init__(self) -> None:
        super().__init__()
        body = utilities.IntermediateLayerGetter(
            models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1]), {"layer4": "map"}
        )
        self.backbone = nn.Sequential(nn.ModuleDict({"body": body}))
        self.input_proj = nn.Conv2d(2048, 16, 1)
        self.query_embed = nn.Embedding(5, 16)
        self.transformer = nn.Module()
        self.transformer.encoder, self.transformer.decoder = nn.Module(), nn.Module()
        self.transformer.encoder.layers = nn.ModuleList(Attending(False) for _ in range(2))
        self.transformer.decoder.layers = nn.ModuleList(Attending(True) for _ in range(2))
        self.transformer.decoder.norm = nn.LayerNorm(16)
        self.class_embed = nn.Linear(16, 8)
        self.bbox_embed = nn.Module()
        self.bbox_embed.layers = nn.ModuleList([nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        t: Any = self.transformer
        x = self.input_proj(self.backbone[0]["body"](image)["map"])  # type: ignore[index]
        place = sines(*x.shape[2:], 16).flatten(1).T
        memory = x.flatten(2).transpose(1, 2)
        for layer in t.encoder.layers:
            memory = layer(memory, place)
        queries = self.query_embed.weight
        x = torch.zeros(len(image), 5, 16)
        for layer in t.decoder.layers:
            x = layer(x, queries, memory, memory + place)
        x = t.decoder.norm(x)
        first, second, last = self.bbox_embed.layers  # type: ignore[misc]
        return self.class_embed(x), last(F.relu(second(F.relu(first(x))))).sigmoid()


class Unit(nn.Module):
    def __init__(self, channels: int, width: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width, 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class Pair(nn.Module):
    def __init__(self, width: int, residual: bool) -> None:
        super().__init__()
        self.cv1, self.cv2, self.residual = Unit(width, width, 3), Unit(width, width, 3), residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.residual else y  # type: ignore[no-any-return]


class Split(nn.Module):
    def __init__(self, channels: int, width: int, depth: int, residual: bool) -> None:
        super().__init__()
        self.cv1, self.cv2 = Unit(channels, width), Unit((2 + depth) * width // 2, width)
        self.m = nn.ModuleList(Pair(width // 2, residual) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        values = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            values.append(block(values[-1]))
        return self.cv2(torch.cat(values, 1))  # type: ignore[no-any-return]


class Pool(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Unit(width, width // 2), Unit(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        values = [self.cv1(x)]
        for _ in range(3):
            values.append(F.max_pool2d(values[-1], 5, 1, 2))
        return self.cv2(torch.cat(values, 1))  # type: ignore[no-any-return]


class Boxes(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.cv2, self.cv3 = (
            nn.ModuleList(
                nn.Sequential(Unit(w, inner, 3), Unit(inner, inner, 3), nn.Conv2d(inner, out, 1))
                for w in widths
            )
            for inner, out in ((64, 64), (8, 7))
        )
        self.dfl = nn.Module()
        self.dfl.conv = nn.Conv2d(16, 1, 1, bias=False)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, logits = [], [], []
        for i, x in enumerate(maps):
            side, name = self.cv2[i](x), self.cv3[i](x)
            share = side.unflatten(1, (4, 16)).softmax(2)
            left, top, right, bottom = (share * torch.arange(16.0)[:, None, None]).sum(2).unbind(1)
            rows, columns = (torch.arange(float(n)) + 0.5 for n in x.shape[2:])
            rows = rows[:, None]
            box = [columns - left, rows - top, columns + right, rows + bottom]
            boxes.append(8 * 2**i * torch.stack(box, 1).flatten(2))
            scores.append(name.flatten(2))
            logits.append(side.flatten(2))
        tokens_last = [torch.cat(values, 2).transpose(1, 2) for values in (boxes, scores, logits)]
        return tuple(tokens_last)  # type: ignore[return-value]


class Yolo(nn.Module):
    """With widths of 8 and 16 for all stages, which the rules of rounding give for a factor of 1/64."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[int, nn.Module] = {
            0: Unit(3, 8, 3, 2),
            1: Unit(8, 8, 3, 2),
            2: Split(8, 8, 1, True),
            3: Unit(8, 8, 3, 2),
            4: Split(8, 8, 2, True),
            5: Unit(8, 8, 3, 2),
            6: Split(8, 8, 2, True),
            7: Unit(8, 16, 3, 2),
            8: Split(16, 16, 1, True),
            9: Pool(16),
            12: Split(24, 8, 1, False),
            15: Split(16, 8, 1, False),
            16: Unit(8, 8, 3, 2),
            18: Split(16, 8, 1, False),
            19: Unit(8, 8, 3, 2),
            21: Split(24, 16, 1, False),
            22: Boxes([8, 8, 16]),
        }
        self.model = nn.ModuleDict({str(i): layer for i, layer in layers.items()})

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layer = self.model
        x, kept = image, {}
        for i in range(10):
            x = kept[i] = layer[str(i)](x)
        wide = F.interpolate(x, scale_factor=2)
        down = layer["12"](torch.cat([wide, kept[6]], 1))
        wide = F.interpolate(down, scale_factor=2)
        fine = layer["15"](torch.cat([wide, kept[4]], 1))
        middle = layer["18"](torch.cat([layer["16"](fine), down], 1))
        coarse = layer["21"](torch.cat([layer["19"](middle), x], 1))
        return layer["22"]([fine, middle, coarse])  # type: ignore[no-any-return]


Case = tuple[str, Mapping[str, Any], Callable[[], nn.Module]]
CASES: dict[str, Case] = {
    "detr": (
        "authors",
        {
            "classes": 7,
            "queries": 5,
            "depths": [1, 1, 1, 1],
            "features": 16,
            "depth": 2,
            "heads": 2,
            "hidden": 24,
        },
        Objects,
    ),
    "split_yolo": ("ultralytics", {"classes": 7, "width": 1 / 64, "depth": 0.33}, Yolo),
}


@torch.no_grad()
@pytest.mark.parametrize("file", CASES)
def test_same_outputs(file: str) -> None:
    """Every weight of the reference is used or ignored by a rule, every own one given."""
    naming, parameters, make_reference = CASES[file]
    theirs = make_reference().eval()
    image = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    randomise(theirs, image)
    spec = load(small_text(file), **parameters)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, naming, entries)
    ours = spec.build("torch").eval()
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    for given in (image, image.transpose(2, 3)):  # positions follow the size of the image
        for mine, expected in zip(list_values(ours(given)), theirs(given), strict=True):
            assert measure_distance(mine, expected) < TOLERANCE


def small_text(file: str) -> str:
    text = (MODELS / f"{file}.yaml").read_text()
    return re.sub("(image: {C: 3, ).*}", r"\1H: 32, W: 64}", text)


def small_case(file: str) -> ParityCase:
    model = build_graph(small_text(file), dict(CASES[file][1]))
    return ParityCase(file, model, batch=2, modes=("forward",), dtype="float64")


@pytest.mark.parametrize("file", ["split_yolo"])
def test_parity(file: str, parity_of: ParityOf) -> None:
    report = parity_of(small_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)

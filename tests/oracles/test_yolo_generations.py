"""The library's YOLOv5 and YOLO11, written once more in PyTorch from public descriptions: counts, outputs, both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase
from specbuild.weights.published_names import convert_published_weights
from tests.oracles.library.shelf import TOLERANCE, measure_distance
from tests.oracles.randomised import randomise
from tests.oracles.test_detectors import Pair, Pool, count, small_text
from tests.parity_runner import ParityOf

# As Ultralytics counts them; the 16 numbers of YOLO11's fixed convolution are a table here.
PUBLISHED = {
    ("yolov5", "yolov5n"): 1_872_157,
    ("yolov5", "yolov5s"): 7_235_389,
    ("yolov5", "yolov5m"): 21_190_557,
    ("yolov5", "yolov5l"): 46_563_709,
    ("yolov5", "yolov5x"): 86_749_405,
    ("yolo11", "n"): 2_624_080 - 16,
    ("yolo11", "s"): 9_458_752 - 16,
    ("yolo11", "m"): 20_114_688 - 16,
    ("yolo11", "l"): 25_372_160 - 16,
    ("yolo11", "x"): 56_966_176 - 16,
}


@pytest.mark.parametrize(("file", "variant"), PUBLISHED, ids="-".join)
def test_parameters(file: str, variant: str) -> None:
    assert count(file, variant) == PUBLISHED[file, variant]


class Unit(nn.Module):
    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(width, 1e-3)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return F.silu(y) if self.active else y  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    def __init__(self, width: int, hidden: int, kernel: int, residual: bool = True) -> None:
        super().__init__()
        self.cv1, self.cv2, self.residual = Unit(width, hidden, kernel), Unit(hidden, width, 3), residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.residual else y  # type: ignore[no-any-return]


class Partial(nn.Module):
    """YOLOv5's C3, and YOLO11's C3k."""

    def __init__(self, channels: int, width: int, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.cv1, self.cv2 = Unit(channels, width // 2), Unit(channels, width // 2)
        self.cv3, self.m = Unit(width // 2 * 2, width), nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))  # type: ignore[no-any-return]


def make_partial(channels: int, width: int, depth: int, residual: bool) -> Partial:
    return Partial(channels, width, [Bottleneck(width // 2, width // 2, 1, residual) for _ in range(depth)])


class Split(nn.Module):
    """YOLO11's C3k2, with one block."""

    def __init__(self, channels: int, width: int, hidden: int, nested: bool) -> None:
        super().__init__()
        block = (
            Partial(hidden, hidden, [Pair(hidden // 2, True) for _ in range(2)])
            if nested
            else Bottleneck(hidden, hidden // 2, 3)
        )
        self.cv1, self.cv2, self.m = (
            Unit(channels, 2 * hidden),
            Unit(3 * hidden, width),
            nn.ModuleList([block]),
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.cv1(x).chunk(2, 1)
        return self.cv2(torch.cat([first, second, self.m[0](second)], 1))  # type: ignore[no-any-return]


class Places(nn.Module):
    """One head: keys of 32 features, values of 64."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = Unit(64, 128, active=False)
        self.proj, self.pe = Unit(64, 64, active=False), Unit(64, 64, 3, groups=64, active=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).split([32, 32, 64], 1)
        shares = (q.flatten(2).transpose(1, 2) @ k.flatten(2) / 32**0.5).softmax(-1)
        found = (v.flatten(2) @ shares.transpose(1, 2)).unflatten(2, x.shape[2:])
        return self.proj(found + self.pe(v))  # type: ignore[no-any-return]


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.ffn = Places(), nn.Sequential(Unit(64, 128), Unit(128, 64, active=False))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.ffn(x)  # type: ignore[no-any-return]


class HalfAttending(nn.Module):
    """C2PSA."""

    def __init__(self) -> None:
        super().__init__()
        self.cv1, self.cv2, self.m = Unit(128, 128), Unit(128, 128), nn.ModuleList([Attending()])

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.cv1(x).chunk(2, 1)
        return self.cv2(torch.cat([first, self.m[0](second)], 1))  # type: ignore[no-any-return]


def list_centres(x: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = (torch.arange(float(n)) + 0.5 for n in x.shape[2:])
    return rows[:, None], columns


class Distances(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.cv2 = nn.ModuleList(
            nn.Sequential(Unit(w, 64, 3), Unit(64, 64, 3), nn.Conv2d(64, 64, 1)) for w in widths
        )
        inner = widths[0]
        self.cv3 = nn.ModuleList(
            nn.Sequential(
                nn.Sequential(Unit(w, w, 3, groups=w), Unit(w, inner)),
                nn.Sequential(Unit(inner, inner, 3, groups=inner), Unit(inner, inner)),
                nn.Conv2d(inner, 7, 1),
            )
            for w in widths
        )
        self.dfl = nn.Module()
        self.dfl.conv = nn.Conv2d(16, 1, 1, bias=False)

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        boxes, scores, logits = [], [], []
        for i, x in enumerate(maps):
            side = self.cv2[i](x)
            share = side.unflatten(1, (4, 16)).softmax(2)
            left, top, right, bottom = (share * torch.arange(16.0)[:, None, None]).sum(2).unbind(1)
            rows, columns = list_centres(x)
            box = [columns - left, rows - top, columns + right, rows + bottom]
            boxes.append(8 * 2**i * torch.stack(box, 1).flatten(2))
            scores.append(self.cv3[i](x).flatten(2))
            logits.append(side.flatten(2))
        return {
            name: torch.cat(values, 2).transpose(1, 2)
            for name, values in (("boxes", boxes), ("scores", scores), ("logits", logits))
        }


ANCHORS = [
    [[10, 13], [16, 30], [33, 23]],
    [[30, 61], [62, 45], [59, 119]],
    [[116, 90], [156, 198], [373, 326]],
]


class Anchors(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.m = nn.ModuleList(nn.Conv2d(w, 3 * 12, 1) for w in widths)

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        found = []
        for i, x in enumerate(maps):
            y = self.m[i](x).unflatten(1, (3, 12)).permute(0, 1, 3, 4, 2)
            rows, columns = list_centres(x)
            corner = torch.stack([columns.expand(x.shape[2:]), rows.expand(x.shape[2:])], -1) - 1
            centre = (2 * y[..., :2].sigmoid() + corner) * 8 * 2**i
            size = (2 * y[..., 2:4].sigmoid()) ** 2 * torch.tensor(ANCHORS[i])[:, None, None]
            found.append(torch.cat([centre, size, y[..., 4:]], -1).flatten(1, 3))
        result = torch.cat(found, 1)
        return {"boxes": result[..., :4], "objectness": result[..., 4], "scores": result[..., 5:]}


class Chain(nn.Module):
    """Layers by their numbers; `read` says which one reads the values of which others, where not that of the one before."""

    def __init__(self, layers: Mapping[int, nn.Module], read: Mapping[int, tuple[int, ...]]) -> None:
        super().__init__()
        self.model = nn.ModuleDict({str(i): layer for i, layer in layers.items()})
        self.read = read

    def forward(self, image: Tensor) -> Any:
        x, kept = image, {}
        for i in range(int([*self.model][-1])):
            if i in self.read:  # the first of the two is doubled if it is smaller
                x, other = (kept[j] for j in self.read[i])
                x = torch.cat([F.interpolate(x, size=other.shape[2:]), other], 1)
            if str(i) in self.model:
                x = self.model[str(i)](x)
            kept[i] = x
        last = int([*self.model][-1])
        return self.model[str(last)]([kept[j] for j in self.read[last]])


def make_yolo11() -> Chain:
    layers: dict[int, nn.Module] = {
        0: Unit(3, 8, 3, 2),
        1: Unit(8, 16, 3, 2),
        2: Split(16, 32, 8, False),
        3: Unit(32, 32, 3, 2),
        4: Split(32, 64, 16, False),
        5: Unit(64, 64, 3, 2),
        6: Split(64, 64, 32, True),
        7: Unit(64, 128, 3, 2),
        8: Split(128, 128, 64, True),
        9: Pool(128),
        10: HalfAttending(),
        13: Split(192, 64, 32, False),
        16: Split(128, 32, 16, False),
        17: Unit(32, 32, 3, 2),
        19: Split(96, 64, 32, False),
        20: Unit(64, 64, 3, 2),
        22: Split(192, 128, 64, True),
        23: Distances([32, 64, 128]),
    }
    return Chain(layers, {13: (10, 6), 16: (13, 4), 19: (17, 13), 22: (20, 10), 23: (16, 19, 22)})


def make_yolov5() -> Chain:
    layers: dict[int, nn.Module] = {
        0: Unit(3, 8, 6, 2),
        1: Unit(8, 8, 3, 2),
        2: make_partial(8, 8, 1, True),
        3: Unit(8, 8, 3, 2),
        4: make_partial(8, 8, 2, True),
        5: Unit(8, 8, 3, 2),
        6: make_partial(8, 8, 3, True),
        7: Unit(8, 16, 3, 2),
        8: make_partial(16, 16, 1, True),
        9: Pool(16),
        10: Unit(16, 8),
        13: make_partial(16, 8, 1, False),
        14: Unit(8, 8),
        17: make_partial(16, 8, 1, False),
        18: Unit(8, 8, 3, 2),
        20: make_partial(16, 8, 1, False),
        21: Unit(8, 8, 3, 2),
        23: make_partial(16, 16, 1, False),
        24: Anchors([8, 8, 16]),
    }
    return Chain(layers, {13: (10, 6), 17: (14, 4), 20: (18, 14), 23: (21, 10), 24: (17, 20, 23)})


CASES: dict[str, tuple[Mapping[str, Any], Callable[[], Chain]]] = {
    "yolov5": ({"classes": 7, "width": 1 / 64, "depth": 0.33}, make_yolov5),
    "yolo11": ({"classes": 7, "width": 1 / 8}, make_yolo11),
}


@torch.no_grad()
@pytest.mark.parametrize("file", CASES)
def test_same_outputs(file: str) -> None:
    """Every weight of the reference is used or ignored by a rule, every own one given."""
    parameters, make_reference = CASES[file]
    theirs = make_reference().eval()
    image = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    randomise(theirs, image)
    spec = load(small_text(file), **parameters)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, "ultralytics", entries)
    ours = spec.build("torch").eval()
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    for given in (image, image.transpose(2, 3)):  # places follow the size of the image
        found, expected = ours(given), theirs(given)
        for name, mine in zip(expected, found, strict=True):
            assert measure_distance(mine, expected[name]) < TOLERANCE, name


def small_case(file: str) -> ParityCase:
    model = build_graph(small_text(file), dict(CASES[file][0]))
    return ParityCase(file, model, batch=2, modes=("forward",), dtype="float64")


@pytest.mark.parametrize("file", CASES)
def test_parity(file: str, parity_of: ParityOf) -> None:
    report = parity_of(small_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)

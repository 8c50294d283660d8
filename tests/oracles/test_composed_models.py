"""Models of the library for sequences, points and faces: the papers' formulas under the names of published code, and both frameworks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
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
from tests.oracles.library.shelf import TOLERANCE, Applied, measure_distance
from tests.oracles.randomised import randomise
from tests.parity_runner import ParityOf

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"

PUBLISHED = {  # https://huggingface.co/google-t5 and /google; the layers of PointNet and CDCN
    ("t5", "t5_small"): 60_506_624,
    ("t5", "t5_base"): 222_903_552,
    ("t5", "t5_large"): 737_668_096,
    ("t5", "t5_v1_1_base"): 247_577_856,
    ("t5", "t5_v1_1_large"): 783_150_080,
    ("pointnet", "pointnet"): 3_471_473,
    ("cdcn", "cdcn"): 9 * (3 * 64 + 64 * 128 + 5 * 128 * 196 + 196 * 128 + 2 * 128 * 128)
    + 9 * (384 * 128 + 128 * 64 + 64)
    + 2 * (64 + 3 * (128 + 196 + 128) + 128 + 64),
}


@pytest.mark.parametrize(("file", "variant"), PUBLISHED, ids=lambda x: x)
def test_parameters(file: str, variant: str) -> None:
    cost = model_cost(build_graph(MODELS / f"{file}.yaml", variant=variant))
    assert cost.parameters == PUBLISHED[file, variant]


class CausalPair(nn.Module):
    """Two convolutions with weight norm, what is after the end cut off; every weight is in `net` once more."""

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv1 = NormedConv(channels, width, 3)
        self.conv2 = NormedConv(width, width, 3)
        self.net = nn.Sequential(self.conv1, nn.ReLU(), self.conv2)
        self.downsample = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in (self.conv1, self.conv2):
            y = F.relu(conv(y, self.dilation))
        return F.relu(y + self.downsample(x))


class NormedConv(nn.Module):
    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(width, 1, 1))
        self.weight_v = nn.Parameter(torch.ones(width, channels, kernel))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, dilation: int) -> Tensor:
        size = self.weight_v.square().sum((1, 2), keepdim=True).sqrt()
        kernel, past = self.weight_v * self.weight_g / size, 2 * dilation
        return F.conv1d(F.pad(x, (past, 0)), kernel, self.bias, dilation=dilation)


class Temporal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tcn = nn.Module()
        self.tcn.network = nn.Sequential(CausalPair(2, 4, 1), CausalPair(4, 4, 2), CausalPair(4, 6, 4))
        self.linear = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        network: Any = self.tcn.network
        return self.linear(network(x.transpose(1, 2)).transpose(1, 2))  # type: ignore[no-any-return]


class Transform(nn.Module):
    """Section 4.2 of arXiv 1612.00593."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        widths = [size, 64, 128, 1024]
        for i in range(3):
            self.add_module(f"conv{i + 1}", nn.Conv1d(widths[i], widths[i + 1], 1))
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, size * size)
        for i, width in enumerate([64, 128, 1024, 512, 256]):
            self.add_module(f"bn{i + 1}", nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in (1, 2, 3):
            y = F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y)))
        y = F.relu(self.bn4(self.fc1(y.amax(2))))  # type: ignore[operator]
        y = F.relu(self.bn5(self.fc2(y)))  # type: ignore[operator]
        matrix = self.fc3(y).view(-1, self.size, self.size) + torch.eye(self.size)
        return torch.einsum("bcn,bcd->bdn", x, matrix)


class Points(nn.Module):
    """Figure 2 of arXiv 1612.00593."""

    def __init__(self) -> None:
        super().__init__()
        self.feat = nn.Module()
        self.feat.stn, self.feat.fstn = Transform(3), Transform(64)
        for i, (before, after) in enumerate([(3, 64), (64, 128), (128, 1024)]):
            self.feat.add_module(f"conv{i + 1}", nn.Conv1d(before, after, 1))
            self.feat.add_module(f"bn{i + 1}", nn.BatchNorm1d(after))
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, 5)
        self.bn1, self.bn2 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)

    def forward(self, points: Tensor) -> Tensor:
        f: Any = self.feat
        y = f.fstn(F.relu(f.bn1(f.conv1(f.stn(points.transpose(1, 2))))))
        y = f.bn3(f.conv3(F.relu(f.bn2(f.conv2(y))))).amax(2)
        y = F.relu(self.bn2(self.fc2(F.relu(self.bn1(self.fc1(y))))))
        return self.fc3(y)  # type: ignore[no-any-return]


class Difference(nn.Module):
    """Equation 4 of arXiv 2003.04092."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) - 0.7 * F.conv2d(x, self.conv.weight.sum((2, 3), keepdim=True))  # type: ignore[no-any-return]


def chain(*widths: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [Difference(before, after), nn.BatchNorm2d(after), nn.ReLU()]
    return layers


class Faces(nn.Module):
    """Table 1 of arXiv 2003.04092."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*chain(3, 4))
        for i in range(3):
            level = nn.Sequential(*chain(8 if i else 4, 8, 12, 8), nn.MaxPool2d(3, 2, 1))
            self.add_module(f"Block{i + 1}", level)
        self.lastconv1, self.lastconv2 = nn.Sequential(*chain(24, 8)), nn.Sequential(*chain(8, 4))
        self.lastconv3 = nn.Sequential(Difference(4, 1), nn.ReLU())

    def forward(self, face: Tensor) -> Tensor:
        x, maps = self.conv1(face), []
        for level in (self.Block1, self.Block2, self.Block3):
            x = level(x)  # type: ignore[operator]
            maps.append(F.interpolate(x, (6, 6), mode="bilinear"))
        return self.lastconv3(self.lastconv2(self.lastconv1(torch.cat(maps, 1))))[:, 0]  # type: ignore[no-any-return]


class Unscaled(nn.Module):
    """Attention without a scale and biases (arXiv 1910.10683, section 2.1)."""

    def __init__(self, buckets: int = 0) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
        if buckets:
            self.relative_attention_bias = nn.Embedding(buckets, 2)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (
            y.unflatten(2, (2, 4)).transpose(1, 2) for y in (self.q(x), self.k(memory), self.v(memory))
        )
        found = (q @ k.transpose(2, 3) + bias).softmax(3) @ v
        return self.o(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Sublayer(nn.Module):
    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.layer_norm = nn.RMSNorm(8, 1e-6)
        self.name = name
        self.add_module(name, inner)

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        y = self.layer_norm(x)
        others = (y, *others) if self.name == "SelfAttention" else others
        return x + getattr(self, self.name)(y, *others)  # type: ignore[no-any-return]


class Dense(nn.Module):
    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        for name in ("wi_0", "wi_1") if gated else ("wi",):
            self.add_module(name, nn.Linear(8, 12, bias=False))
        self.wo = nn.Linear(12, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))  # type: ignore[no-any-return, operator]
        return self.wo(F.relu(self.wi(x)))  # type: ignore[no-any-return, operator]


def find_bucket(distance: int, both_ways: bool) -> int:
    """Of a query and a key this far after it."""
    count, first = (16, 16 * (distance > 0)) if both_ways else (32, 0)
    far = abs(distance) if both_ways else max(-distance, 0)
    if far < count // 2:
        return first + far
    logarithm = math.log(far / (count // 2)) / math.log(128 / (count // 2)) * (count // 2)
    return first + min(count // 2 + int(logarithm), count - 1)


class Stack(nn.Module):
    def __init__(self, decodes: bool, gated: bool) -> None:
        super().__init__()
        self.decodes = decodes
        self.block = nn.ModuleList()
        for i in range(2):
            layers = [Sublayer("SelfAttention", Unscaled(0 if i else 32))]
            if decodes:
                layers.append(Sublayer("EncDecAttention", Unscaled()))
            self.block.append(nn.Module())
            self.block[i].layer = nn.ModuleList([*layers, Sublayer("DenseReluDense", Dense(gated))])
        self.final_layer_norm = nn.RMSNorm(8, 1e-6)

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor | None = None) -> Tensor:
        blocks: Any = self.block
        table, count = blocks[0].layer[0].SelfAttention.relative_attention_bias.weight, x.shape[1]
        buckets = [[find_bucket(s - t, not self.decodes) for s in range(count)] for t in range(count)]
        bias = table[torch.tensor(buckets)].permute(2, 0, 1)
        if self.decodes:
            bias = bias + torch.full((count, count), -math.inf).triu(1)
        for block in blocks:
            first, *others, last = block.layer
            x = first(x, bias if self.decodes else bias + hidden)
            for layer in others:
                x = layer(x, memory, hidden)
            x = last(x)
        return self.final_layer_norm(x)  # type: ignore[no-any-return]


class Translator(nn.Module):
    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.shared = nn.Embedding(11, 8)
        self.encoder, self.decoder = Stack(False, gated), Stack(True, gated)
        if gated:
            self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        hidden = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)[:, None, None]
        memory = self.encoder(self.shared(source), hidden)
        decoded = self.decoder(self.shared(target), hidden, memory)
        if hasattr(self, "lm_head"):
            return self.lm_head(decoded)  # type: ignore[no-any-return]
        return decoded * 8**-0.5 @ self.shared.weight.T  # type: ignore[no-any-return]


T5 = {
    "vocabulary": 11,
    "source_length": 24,
    "target_length": 6,
    "features": 8,
    "depth": 2,
    "heads": 2,
    "hidden": 12,
    "dropout": 0.0,
}
Case = tuple[str, str, Mapping[str, Any], Callable[[], nn.Module]]
CASES: dict[str, Case] = {
    "tcn": (
        "tcn",
        "authors",
        {"classes": 5, "features": 2, "length": 20, "widths": [4, 4, 6], "kernel": 3},
        Temporal,
    ),
    "pointnet": ("pointnet", "authors", {"classes": 5, "count": 16, "dropout": 0.0}, Points),
    "cdcn": ("cdcn", "authors", {"width": 4, "size": 6}, Faces),
    "t5": ("t5", "huggingface", T5, lambda: Translator(False)),
    "t5_1_1": ("t5", "huggingface_1_1", {**T5, "gated": True}, lambda: Translator(True)),
}


def give_inputs(file: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    if file == "t5":
        source = torch.randint(0, 11, (2, 24), generator=generator, dtype=torch.int32)
        mask = torch.ones(2, 24, dtype=torch.bool)
        mask[1, 20:] = False
        return [source, mask, source[:, :6].contiguous()]
    shape = {"tcn": (2, 20, 2), "pointnet": (4, 16, 3), "cdcn": (2, 3, 48, 40)}[file]
    return [torch.randn(shape, generator=generator)]


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_same_outputs(name: str) -> None:
    """Every weight of the reference is used or ignored by a rule, every own one given."""
    file, naming, parameters, make_reference = CASES[name]
    theirs, inputs = make_reference().eval(), give_inputs(file)
    randomise(Applied(theirs, inputs), inputs[0])
    theirs.eval()
    spec = load(MODELS / f"{file}.yaml", **parameters)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, naming, entries)
    ours = spec.build("torch").eval()
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    assert measure_distance(ours(*inputs), theirs(*inputs)) < TOLERANCE


def composed_case(name: str) -> ParityCase:
    file, _, parameters, _ = CASES[name]
    model = build_graph(MODELS / f"{file}.yaml", parameters)
    return ParityCase(name, model, batch=2, modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("name", ["tcn", "pointnet", "t5"])
def test_parity(name: str, parity_of: ParityOf) -> None:
    report = parity_of(composed_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)

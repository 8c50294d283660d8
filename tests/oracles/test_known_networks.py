"""Known networks, made small, written as their papers have them: each spec with a module of PyTorch of the same names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from specbuild.runtimes.live_model import import_source
from tests.oracles.convolutional_networks import CONVOLUTIONAL, SPECS
from tests.parity_runner import ParityOf

TOLERANCE = 1e-12

TEXT_READER = """\
specbuild: 1
model: TextReader
doc: A CRNN, which reads the columns of a line of text (Shi et al. 2015, arXiv 1507.05717).
inputs: {image: {C: 1, H: 32, W: {any: 40}}}
steps:
  - do:
      - conv: {channels: 8}
      - relu
      - max_pool: {kernel: 2}
      - conv: {channels: 12}
      - relu
      - max_pool: {kernel: 2}
      - conv: {channels: 16, bias: false}
      - batch_norm
      - relu
      - max_pool: {kernel: {H: 2, W: 1}}
      - conv: {channels: 16, kernel: {H: 4, W: 1}, padding: 0}
      - relu
    as: cnn
  - squeeze: {over: H}
  - rename: {axes: {W: T}}
  - lstm: {units: 6, bidirectional: true}
    as: rnn1
  - lstm: {units: 6, bidirectional: true}
    as: rnn2
  - linear: {features: 11}
    as: head
"""


class TextReader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        second = (nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        third = (nn.Conv2d(12, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        last = (nn.MaxPool2d((2, 1)), nn.Conv2d(16, 16, (4, 1)), nn.ReLU())
        self.cnn = nn.Sequential(*first, *second, *third, *last)
        self.rnn1 = nn.LSTM(16, 6, batch_first=True, bidirectional=True)
        self.rnn2 = nn.LSTM(12, 6, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 11)

    def forward(self, image: Tensor) -> Tensor:
        columns = self.cnn(image).squeeze(2).transpose(1, 2)
        return self.head(self.rnn2(self.rnn1(columns)[0])[0])  # type: ignore[no-any-return]


WAVE = """\
specbuild: 1
model: Wave
doc: A WaveNet, whose layers give skips that are added up (van den Oord et al. 2016, arXiv 1609.03499).
inputs: {sound: {T: any, C: 3}}
blocks:
  Layer:
    params: {dilation: int, skip: 7}
    inputs: {x: [T, C]}
    steps:
      - pad: {padding: {T: [dilation, 0]}}
      - conv: {channels: 2 * x.C, kernel: 2, dilation: dilation, padding: 0, over: [T]}
        as: gates
      - split: {over: C, into: [filter, gate]}
        as: halves
      - tanh:
        from: halves.filter
        as: filtered
      - sigmoid:
        from: halves.gate
      - multiply: [filtered, prev]
        as: z
      - conv: {channels: skip, kernel: 1, over: [T]}
        as: skip
      - conv: {channels: x.C, kernel: 1, over: [T]}
        from: z
        as: residual
      - add: [x, residual]
steps:
  - conv: {channels: 4, kernel: 1, over: [T]}
    as: start
  - Layer: {dilation: 2 ** (i % 3)}
    repeat: 5
    as: layers
  - add: [layers.*.skip]
  - relu
  - conv: {channels: 9, kernel: 1, over: [T]}
    as: end1
  - relu
  - conv: {channels: 5, kernel: 1, over: [T]}
    as: end2
"""


class WaveLayer(nn.Module):
    def __init__(self, dilation: int, has_next: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.gates = nn.Conv1d(4, 8, 2, dilation=dilation)
        self.skip = nn.Conv1d(4, 7, 1)
        self.residual = nn.Conv1d(4, 4, 1) if has_next else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filtered, gate = self.gates(F.pad(x, (self.dilation, 0))).chunk(2, 1)
        z = filtered.tanh() * gate.sigmoid()
        return x if self.residual is None else x + self.residual(z), self.skip(z)


class Wave(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv1d(3, 4, 1)
        self.layers = nn.ModuleList(WaveLayer(2 ** (i % 3), i < 4) for i in range(5))
        self.end1, self.end2 = nn.Conv1d(7, 9, 1), nn.Conv1d(9, 5, 1)

    def forward(self, sound: Tensor) -> Tensor:
        x, skips = self.start(sound.transpose(1, 2)), []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        y = self.end2(F.relu(self.end1(F.relu(torch.stack(skips).sum(0)))))
        return y.transpose(1, 2)  # type: ignore[no-any-return]


UPSCALER = """\
specbuild: 1
model: Upscaler
doc: An ESPCN (Shi et al. 2016, arXiv 1609.05158).
inputs: {image: {C: 3, H: 8, W: 6}}
params: {factor: 3}
steps:
  - do:
      - conv: {channels: 8, kernel: 5}
      - tanh
      - conv: {channels: 6}
      - tanh
      - conv: {channels: 3 * factor ** 2}
      - pixel_shuffle: {factor: factor}
    as: body
"""


class Upscaler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        convs = (nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 27, 3, padding=1))
        self.body = nn.Sequential(convs[0], nn.Tanh(), convs[1], nn.Tanh(), convs[2], nn.PixelShuffle(3))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image)  # type: ignore[no-any-return]


SETS = """\
specbuild: 1
model: Sets
doc: A Set Transformer with inducing points (Lee et al. 2019, arXiv 1810.00825).
inputs: {items: {T: any, C: 3}}
blocks:
  Mab:
    params: {heads: 2}
    inputs: {x: [Q, C], y: [T, C]}
    steps:
      - linear: {features: x.C}
        from: x
        as: fc_q
      - linear: {features: x.C}
        from: y
        as: fc_k
      - linear: {features: x.C}
        from: y
        as: fc_v
      - unflatten: {axis: C, into: {heads: heads, C: -1}}
        foreach: {value: [fc_q, fc_k, fc_v]}
        from: value
        as: parts
      - attention: {query: parts.0, key: parts.1, value: parts.2, over: Q, keys: T, scale: 1 / sqrt(x.C)}
      - flatten: {axes: [heads, C], into: C}
      - add: [fc_q, prev]
        as: seen
      - linear: {features: x.C}
        as: fc_o
      - relu
      - add: [seen, prev]
  Isab:
    params: {count: int}
    inputs: {x: [T, C]}
    steps:
      - weight: {axes: {Q: count, C: x.C}, init: xavier_uniform}
        as: points
      - Mab:
        from: {x: points, y: x}
        as: mab0
      - rename: {axes: {Q: T}}
        as: summary
      - rename: {axes: {T: Q}}
        from: x
        as: queries
      - Mab:
        from: {x: queries, y: summary}
        as: mab1
      - rename: {axes: {Q: T}}
steps:
  - linear: {features: 8}
    as: start
  - Isab: {count: 3}
    repeat: 2
    as: encoder
  - weight: {axes: {Q: 1, C: 8}, init: xavier_uniform}
    as: seed
  - Mab:
    from: {x: seed, y: encoder}
    as: pool
  - squeeze: {over: Q}
  - linear: {features: 5}
    as: head
"""


class Mab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc_q, self.fc_k, self.fc_v, self.fc_o = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        query, key, value = self.fc_q(x), self.fc_k(y), self.fc_v(y)
        q, k, v = (torch.stack(z.chunk(2, -1), 1) for z in (query, key, value))
        seen = ((q @ k.mT / math.sqrt(8)).softmax(-1) @ v).transpose(1, 2).flatten(2)
        seen = query + seen
        return seen + F.relu(self.fc_o(seen))  # type: ignore[no-any-return]


class Isab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.zeros(3, 8))
        self.mab0, self.mab1 = Mab(), Mab()

    def forward(self, x: Tensor) -> Tensor:
        return self.mab1(x, self.mab0(self.points.expand(len(x), -1, -1), x))  # type: ignore[no-any-return]


class Sets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start, self.head = nn.Linear(3, 8), nn.Linear(8, 5)
        self.encoder = nn.Sequential(Isab(), Isab())
        self.seed = nn.Parameter(torch.zeros(1, 8))
        self.pool = Mab()

    def forward(self, items: Tensor) -> Tensor:
        x = self.encoder(self.start(items))
        return self.head(self.pool(self.seed.expand(len(x), -1, -1), x)[:, 0])  # type: ignore[no-any-return]


# the spec, the reference, and two shapes of its input
NETWORKS: dict[str, tuple[str, Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "crnn": (TEXT_READER, TextReader, ((2, 1, 32, 40), (3, 1, 32, 52))),
    "wavenet": (WAVE, Wave, ((2, 16, 3), (3, 29, 3))),
    "espcn": (UPSCALER, Upscaler, ((2, 3, 8, 6), (3, 3, 5, 9))),
    "set_transformer": (SETS, Sets, ((2, 6, 3), (3, 11, 3))),
    **{
        name: ((SPECS / f"{name}.yaml").read_text(encoding="utf-8"), reference, shapes)
        for name, (reference, shapes) in CONVOLUTIONAL.items()
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_same_outputs(name: str) -> None:
    """The weights have the names and shapes of the reference, and the outputs are its own at both sizes."""
    text, reference, shapes = NETWORKS[name]
    graph = build_graph(text)
    theirs = reference().double().eval()
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {
        key: value if not value.is_floating_point() else torch.rand(value.shape, generator=generator).double()
        for key, value in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    ours = getattr(import_source(compile_source(graph, "torch"), name), graph.name)().double().eval()
    ours.load_state_dict(state, strict=True)
    assert model_cost(graph).parameters == sum(p.numel() for p in theirs.parameters())
    for shape in shapes:
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            found, wanted = ours(x), theirs(x)
        assert found.shape == wanted.shape
        assert ((found - wanted).abs().max() / wanted.abs().max()).item() < TOLERANCE


def parity_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(NETWORKS[name][0]))


@pytest.mark.parametrize("name", NETWORKS)
def test_parity(name: str, parity_of: ParityOf) -> None:
    report = parity_of(parity_case)
    assert not report.error
    assert report.failing_differences() == []

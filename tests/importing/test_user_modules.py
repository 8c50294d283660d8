"""Modules as people write them: what no output needs, buffers and weights that several modules hold, lists with steps between."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from tests.importing.compared import import_live, largest_difference


class GatedBlock(nn.Module):
    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.filter = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(channels, channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.tanh(self.filter(x))
        return self.residual(y) + x, self.skip(y)


class WaveNet(nn.Module):
    """The last block has a residual that nobody reads (arXiv 1609.03499)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(GatedBlock(4, 2**i) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for block in self.blocks:
            x, skip = block(x)
            total = total + skip
        return total


class GraphLayer(nn.Module):
    def __init__(self, width: int, adjacency: Tensor):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.conv, self.importance = nn.Conv2d(3, width * 2, 1), nn.Parameter(torch.ones_like(adjacency))
        self.temporal = nn.Conv2d(width, 3, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).unflatten(1, (2, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, self.adjacency * self.importance)
        return self.temporal(F.relu(y)) + x


class GraphNet(nn.Module):
    """All layers hold one adjacency, between joints and joints (arXiv 1801.07455)."""

    def __init__(self) -> None:
        super().__init__()
        adjacency = torch.rand(2, 5, 5)
        self.layers = nn.ModuleList(GraphLayer(width, adjacency) for width in (4, 6))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MaskedConv(nn.Conv2d):
    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)
        mask = torch.ones_like(self.weight)
        mask[:, :, 1, 2:] = mask[:, :, 2] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, self.stride, self.padding)


class PixelNet(nn.Module):
    """Steps of the same kind stand inside a list and before it (arXiv 1606.05328)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.layers = nn.Conv2d(2, 4, 1), nn.ModuleList(MaskedConv(4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return x


class FusionNet(nn.Module):
    """The members of its lists read what stands before the lists; one member is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = nn.ModuleList(
            [nn.Identity(), nn.Conv2d(2, 4, 1), nn.Sequential(nn.Conv2d(2, 4, 3, padding=1))]
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        total = F.relu(self.fuse[1](x))
        return (total * self.fuse[2](y)).sigmoid()


class LanguageModel(nn.Module):
    """The head has the embedding's weight (arXiv 1608.05859)."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.tokens, self.body = (
            nn.Embedding(11, 6),
            nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6), nn.GELU()),
        )
        self.head = nn.Linear(6, 11, bias=bias)
        self.head.weight = self.tokens.weight

    def forward(self, index: Tensor) -> Tensor:
        return self.head(self.body(self.tokens(index)))


MAP, IMAGE = torch.randn(3, 3, 6, 5), torch.randn(3, 2, 6, 6)
INDEX = torch.randint(0, 11, (3, 4))


@pytest.mark.parametrize(
    ("make", "inputs", "said", "unsaid"),
    [
        (WaveNet, {"x": torch.randn(3, 4, 8)}, "        from: blocks.1.out0\n    as: blocks\n", "blocks_0"),
        (GraphNet, {"x": MAP}, "axes: {g: 2, W: x.W, T: 5}", "weights:"),
        (PixelNet, {"x": IMAGE}, "      - MaskedConv:\n        as: 1\n", "mask.{rest}"),
        (FusionNet, {"x": IMAGE, "y": IMAGE.flip(1)}, "        as: 1\n", "weights:"),
        (LanguageModel, {"index": INDEX}, "  - contract: {of: [body, tokens], over: C}\n", "kernel_linear"),
        (lambda: LanguageModel(True), {"index": INDEX}, "    head.weight: {ignore: true}\n", "kernel_linear"),
    ],
    ids=["WaveNet", "GraphNet", "PixelNet", "FusionNet", "LanguageModel", "LanguageModelWithBias"],
)
def test_a_module_becomes_its_equal(
    make: type[nn.Module], inputs: dict[str, Tensor], said: str, unsaid: str
) -> None:
    with ConstructorWatch() as watch:
        model = make()
    axes = {"x": ("C", "W")} if isinstance(model, WaveNet) else {"index": ("T",)}
    imported = import_live(model, inputs, type(model).__name__, watch, axes=axes)
    assert largest_difference(imported, model, list(inputs.values())) < 1e-12, imported.text
    assert said in imported.text and unsaid not in imported.text


class Translator(nn.Module):
    """States of both directions and of several levels, a cell that is called again, and a state that is given."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(5, 4, 2, batch_first=True, bidirectional=True)
        self.bridge, self.cell, self.out = nn.Linear(8, 6), nn.GRUCell(5, 6), nn.Linear(6, 3)
        self.tagger = nn.LSTM(5, 6, batch_first=True)
        self.memory = nn.LSTMCell(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        _, states = self.encoder(x)
        state = torch.tanh(self.bridge(torch.cat([states[-2], states[-1]], -1)))
        tags, _ = self.tagger(x, (state.unsqueeze(0), state.sigmoid()[None]))
        results = []
        h, c = state, torch.tanh(state)
        for t in range(3):
            state = self.cell(x[:, t], state)
            h, c = self.memory(state, (h, c))
            results.append(self.out(h + tags[:, t]))
        return torch.stack(results, 1)


def test_states_of_recurrent_layers() -> None:
    model, x = Translator(), torch.randn(3, 4, 5)
    imported = import_live(model, {"x": x}, "Translator", axes={"x": ("T", "C")})
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text
    assert "from: {x: prev, initial_h: memory.h, initial_c: memory.c}\n" in imported.text, imported.text


class Tagger(nn.Module):
    """The vector of the padding is not trained: its gradient is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(5, 4, padding_idx=2), nn.Linear(4, 3)

    def forward(self, index: Tensor) -> Tensor:
        return self.out(self.words(index))


def test_the_vector_of_a_padding_gets_no_gradient() -> None:
    model, index = Tagger(), torch.tensor([[0, 2, 4, 2], [1, 2, 3, 3]])
    imported = import_live(model, {"index": index}, "Tagger", axes={"index": ("T",)})
    assert largest_difference(imported, model, [index]) < 1e-12, imported.text
    own = imported.model.build("torch")
    own(index).sum().backward()
    gradient = dict(own.named_parameters())["words.weight"].grad
    assert gradient is not None
    assert (gradient.abs().sum(1) == 0).tolist() == [False, False, True, False, False]


class Distorted(nn.Module):
    """A table without a rule lies in a file beside the spec, and other weights have rules."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.register_buffer(
            "table", torch.rand(20, 21, generator=torch.Generator().manual_seed(2)), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.table


def test_a_table_beside_rules_needs_no_weight() -> None:
    model, x = Distorted(), torch.randn(3, 4, 20, 21)
    imported = import_live(model, {"x": x}, "Distorted", axes={})
    assert imported.tables.arrays and imported.key_map.lines, imported.text
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    carried = imported.carry_weights(state)
    own = imported.model.build("torch")
    own.load_state_dict({name: torch.from_numpy(value) for name, value in carried.items()}, strict=False)
    assert torch.allclose(own(x), model(x))

"""The encoder and the decoder of Whisper against PyTorch's own layers, by the names of its published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from specbuild.weights.published_names import convert_published_weights
from tests.oracles.carried import TOLERANCE, carry_and_compare
from tests.oracles.library.shelf import Applied, check_parity
from tests.oracles.randomised import difference, randomise
from tests.parity_runner import ParityOf

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"
ENCODER, DECODER = MODELS / "whisper_encoder.yaml", MODELS / "whisper_decoder.yaml"
SMALL = {
    ENCODER: {"frames": 13, "bands": 5, "features": 8, "depth": 2, "heads": 2},
    DECODER: {"vocabulary": 11, "length": 6, "frames": 7, "features": 8, "depth": 2, "heads": 2},
}
# the published numbers; the positions of the encoder, 1500 * features, are computed and not among them
PUBLISHED = {"whisper_tiny": (7_632_384, 37_184_640), "whisper_base": (19_822_592, 71_825_920)}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_parameters(variant: str) -> None:
    encoder, decoder = (
        model_cost(build_graph(file, variant=variant)).parameters for file in (ENCODER, DECODER)
    )
    assert (encoder, encoder + decoder) == PUBLISHED[variant]


def attention_layers() -> nn.ModuleDict:
    return nn.ModuleDict(
        {name: nn.Linear(8, 8, bias=name != "key") for name in ("query", "key", "value", "out")}
    )


def attend(layers: nn.ModuleDict, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention with two heads; a true place of the mask is not attended to."""
    biases = torch.cat([layers["query"].bias, torch.zeros(8), layers["value"].bias])
    weights = torch.cat([layers[name].weight for name in ("query", "key", "value")])
    found, _ = F.multi_head_attention_forward(
        x.transpose(0, 1),
        memory.transpose(0, 1),
        memory.transpose(0, 1),
        8,
        2,
        weights,
        biases,
        None,
        None,
        False,
        0.0,
        layers["out"].weight,
        layers["out"].bias,
        attn_mask=mask,
    )
    return found.transpose(0, 1)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.attn_ln, self.mlp_ln = attention_layers(), nn.LayerNorm(8), nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.attn_ln(x)
        x = x + attend(self.attn, y, y)
        return x + self.mlp(self.mlp_ln(x))  # type: ignore[no-any-return]


class DecoderLayer(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.cross_attn, self.cross_attn_ln = attention_layers(), nn.LayerNorm(8)

    def forward(self, x: Tensor, sound: Tensor) -> Tensor:  # type: ignore[override]
        y = self.attn_ln(x)
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        x = x + attend(self.attn, y, y, later)
        x = x + attend(self.cross_attn, self.cross_attn_ln(x), sound)
        return x + self.mlp(self.mlp_ln(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(5, 8, 3, padding=1), nn.Conv1d(8, 8, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(Layer(), Layer())
        self.ln_post = nn.LayerNorm(8)
        angles = torch.arange(7)[:, None] / 10000 ** (torch.arange(4) / 3)
        self.register_buffer("positional_embedding", torch.cat([angles.sin(), angles.cos()], 1))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.conv2(F.gelu(self.conv1(x.transpose(1, 2))))).transpose(1, 2)
        return self.ln_post(self.blocks(y + self.positional_embedding))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(11, 8)
        self.positional_embedding = nn.Parameter(torch.empty(6, 8))
        self.blocks = nn.ModuleList([DecoderLayer(), DecoderLayer()])
        self.ln = nn.LayerNorm(8)

    def forward(self, tokens: Tensor, sound: Tensor) -> Tensor:
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, sound)
        return self.ln(x) @ self.token_embedding.weight.T  # type: ignore[no-any-return]


class Whisper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)  # type: ignore[no-any-return]


def test_same_outputs_of_the_encoder() -> None:
    x = torch.randn(2, 13, 5, generator=torch.Generator().manual_seed(0))
    assert carry_and_compare(load(ENCODER, **SMALL[ENCODER]), Whisper(), "openai", x) < TOLERANCE


@pytest.mark.parametrize("count", [6, 4])
@torch.no_grad()
def test_same_outputs_of_the_decoder(count: int) -> None:
    """As many tokens as there are positions, and fewer."""
    theirs, generator = Whisper(), torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 11, (2, count), generator=generator, dtype=torch.int32)
    sound = torch.randn(2, 7, 8, generator=generator)
    randomise(Applied(theirs.decoder, (tokens, sound)), tokens)
    spec = load(DECODER, **SMALL[DECODER])
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    ours = spec.build("torch")
    state = convert_published_weights(spec.graph, "openai", entries)
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    assert difference(theirs.decoder.eval()(tokens, sound), ours.eval()(tokens, sound)) < TOLERANCE


def parity_case(name: str) -> ParityCase:
    file = MODELS / f"{name}.yaml"
    return ParityCase(name, build_graph(file, SMALL[file]), modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("name", ["whisper_encoder", "whisper_decoder"])
def test_parity(name: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

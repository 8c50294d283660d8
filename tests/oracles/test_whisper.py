"""The encoder of Whisper against PyTorch's own layers, by the names of its published weights."""

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
from tests.oracles.carried import TOLERANCE, carry_and_compare
from tests.oracles.library.shelf import check_parity
from tests.parity_runner import ParityOf

FILE = Path(__file__).parents[2] / "specbuild" / "library" / "models" / "whisper_encoder.yaml"
SMALL = {"frames": 13, "bands": 5, "features": 8, "depth": 2, "heads": 2}
# the published numbers, without the table of positions, which is computed: 1500 * features
PUBLISHED = {"whisper_tiny": 8_208_384 - 1500 * 384, "whisper_base": 20_590_592 - 1500 * 512}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_parameters(variant: str) -> None:
    assert model_cost(build_graph(FILE, variant=variant)).parameters == PUBLISHED[variant]


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.ModuleDict(
            {name: nn.Linear(8, 8, bias=name != "key") for name in ("query", "key", "value", "out")}
        )
        self.attn_ln, self.mlp_ln = nn.LayerNorm(8), nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.attn_ln(x)
        biases = torch.cat([self.attn["query"].bias, torch.zeros(8), self.attn["value"].bias])
        weights = torch.cat([self.attn[name].weight for name in ("query", "key", "value")])
        found, _ = F.multi_head_attention_forward(
            *(y.transpose(0, 1),) * 3,
            8,
            2,
            weights,
            biases,
            None,
            None,
            False,
            0.0,
            self.attn["out"].weight,
            self.attn["out"].bias,
        )
        x = x + found.transpose(0, 1)
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


class Whisper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)  # type: ignore[no-any-return]


def test_same_outputs() -> None:
    x = torch.randn(2, 13, 5, generator=torch.Generator().manual_seed(0))
    assert carry_and_compare(load(FILE, **SMALL), Whisper(), "openai", x) < TOLERANCE


def parity_case(name: str) -> ParityCase:
    return ParityCase(name, build_graph(FILE, SMALL), modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("name", ["small"])
def test_parity(name: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))

"""Words of the author: arguments that are passed on, defaults, rates that rise over a model, and sizes of other inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specbuild import load
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from tests.importing.compared import import_live, largest_difference


class DropPath(nn.Module):
    """Known by its name; it does nothing in evaluation."""

    def __init__(self, drop_prob: float):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return x


class UnitConfig:
    def __init__(self, ratio: int, out: int):
        self.ratio, self.out = ratio, out


class Unit(nn.Module):
    """Only the first unit does not widen, and only its rate is 0."""

    def __init__(self, cnf: UnitConfig, width: int, rate: float, kernel_size: int = 5):
        super().__init__()
        inner = cnf.ratio * width
        self.expand = nn.Conv2d(width, inner, 1) if cnf.ratio != 1 else None
        self.project = nn.Conv2d(inner, cnf.out, kernel_size, padding=kernel_size // 2)
        self.drop = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        return x + self.drop(self.project(y)) if self.project.out_channels == x.shape[1] else self.project(y)


class UnitNet(nn.Module):
    def __init__(self, drop_path_rate: float = 0.3, dropout: float = 0.3):
        super().__init__()
        configs = [UnitConfig(1, 4), UnitConfig(2, 4), UnitConfig(3, 4)]
        self.unit1, self.unit2, self.unit3 = (
            Unit(c, 4, drop_path_rate * k / 2, 3 if k == 1 else 5) for k, c in enumerate(configs)
        )
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        y = self.unit3(self.unit2(self.unit1(image)))
        return self.head(self.dropout(y.mean((2, 3))))


class Layer(nn.Module):
    def __init__(self, dim: int, num_heads: int, mlp_dim: int):
        super().__init__()
        self.attn = Attention(dim, num_heads)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


class Attention(nn.Module):
    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads, self.qkv = num_heads, nn.Linear(dim, 3 * dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Encoder(nn.Module):
    def __init__(self, dim: int, num_layers: int, num_heads: int, mlp_dim: int, seq_length: int):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(seq_length, dim))
        self.layers = nn.Sequential(*(Layer(dim, num_heads, mlp_dim) for _ in range(num_layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x + self.position)


class PatchNet(nn.Module):
    """The encoder has the positions of the tokens, the model those of all of them."""

    def __init__(self, num_layers: int = 3, num_heads: int = 2, mlp_dim: int = 20):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.token, self.position = nn.Parameter(torch.zeros(1, 12)), nn.Parameter(torch.zeros(7, 12))
        self.encoder = Encoder(12, num_layers, num_heads, mlp_dim, 7)
        self.head = nn.Linear(12, 5)

    def forward(self, image: Tensor) -> Tensor:
        y = self.patches(image).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(len(y), 1, 12), y], 1) + self.position
        return self.head(self.encoder(y)[:, 0])


class Exchange(nn.Module):
    """Each stream gets the finest one with its own width."""

    def __init__(self, widths: list[int]):
        super().__init__()
        self.fuse = nn.ModuleList(nn.Conv2d(widths[0], width, 1) for width in widths[1:])

    def forward(self, *streams: Tensor) -> list[Tensor]:
        return [streams[0], *(s + f(streams[0]) for s, f in zip(streams[1:], self.fuse, strict=True))]


class Exchange2(Exchange):
    def forward(self, x0: Tensor, x1: Tensor) -> list[Tensor]:  # type: ignore[override]
        return super().forward(x0, x1)


Exchange2.__name__ = "Exchange"


class Exchange3(Exchange):
    def forward(self, x0: Tensor, x1: Tensor, x2: Tensor) -> list[Tensor]:  # type: ignore[override]
        return super().forward(x0, x1, x2)


Exchange3.__name__ = "Exchange"


class StreamNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.wider = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 10, 1)
        self.two, self.three = Exchange2([3, 6]), Exchange3([3, 6, 10])

    def forward(self, image: Tensor) -> Tensor:
        x0, x1 = self.two(image, self.wide(image))
        return torch.cat(self.three(x0, x1, self.wider(image)), 1)


def import_model(kind: Any, *sizes: int) -> tuple[str, float]:
    """Return the spec of a model, and how far it is from the original."""
    with ConstructorWatch() as watch:
        model = kind()
    image = torch.zeros(3, *sizes)
    imported = import_live(model, {"image": image}, "Net", watch)
    return imported.text, largest_difference(imported, model, [image])


def test_rates_defaults_and_entries_of_a_config_are_the_authors() -> None:
    text, difference = import_model(UnitNet, 4, 8, 8)
    assert difference < 1e-12
    assert "  dropout: 0.3\n" in text and "  drop_path_rate: 0.3\n" in text
    assert "params: {ratio: int, kernel_size: 5, rate: 0.0}" in text
    assert "when: ratio != 1" in text  # not the rate, though it says the same
    assert "- Unit: {ratio: 1}\n" in text
    assert "- Unit: {ratio: 2, kernel_size: 3, rate: drop_path_rate / 2}\n" in text
    assert "- Unit: {ratio: 3, rate: drop_path_rate * 2 / 2}\n" in text
    assert "- dropout: {rate: dropout}\n" in text


def test_arguments_reach_the_blocks_that_need_them() -> None:
    text, difference = import_model(PatchNet, 3, 8, 12)
    assert difference < 1e-9
    for line in (
        "- Attention: {num_heads: num_heads}",
        "- Layer: {num_heads: num_heads, mlp_dim: mlp_dim}\n        repeat: num_layers",
        "- Encoder: {num_heads: num_heads, mlp_dim: mlp_dim, num_layers: num_layers}",
    ):
        assert line in text
    model = load(text, num_layers=4, num_heads=3, mlp_dim=8)
    with torch.no_grad():
        original = PatchNet(4, 3, 8)
    assert model.parameters == sum(p.numel() for p in original.parameters())


def test_positions_follow_the_image() -> None:
    text, _ = import_model(PatchNet, 3, 8, 12)
    assert "- weight: {axes: {T: x.T, C: x.C}}" in text and "- weight: {axes: {T: concat.T, C: 12}}" in text
    larger = load(text.replace("H: 8, W: 12", "H: 16, W: 12"))
    assert larger.parameters - load(text).parameters == 2 * 6 * 12  # six more tokens, twice


def test_the_largest_number_of_positions_is_no_length() -> None:
    class Limited(PatchNet):
        def __init__(self, max_tokens: int = 7):
            super().__init__()

    assert "- weight: {axes: {T: 7, C: 12}}" in import_model(Limited, 3, 8, 12)[0]


def test_widths_of_other_streams_and_the_number_of_streams() -> None:
    text, difference = import_model(StreamNet, 3, 4, 4)
    assert difference < 1e-12
    assert "  Exchange2:\n" in text and "  Exchange3:\n" in text
    assert "channels: x1.C" in text and "channels: x2.C" in text


@pytest.mark.parametrize("name", ["drop_path_rate", "ratio"])
def test_a_chance_of_zero_changes_no_weights(name: str) -> None:
    text, _ = import_model(UnitNet, 4, 8, 8)
    if name == "drop_path_rate":
        assert load(text, drop_path_rate=0.0).parameters == load(text).parameters
    else:
        assert load(text.replace("ratio: 1}", "ratio: 2}")).parameters > load(text).parameters

"""Networks that many people write: siamese encoders, graph convolutions, mixtures of experts, latents that attend, unrolled cells."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.runtimes.worker_jobs import RefusedJob
from tests.importing.compared import import_live, largest_difference


class Siamese(nn.Module):
    """The encoder's result keeps its places of size 1, which are removed after it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1)))
        self.fc = nn.Linear(8, 4)

    def embed(self, x: Tensor) -> Tensor:
        return F.normalize(self.fc(torch.flatten(self.encoder(x), 1)), p=2, dim=1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        left, right = self.embed(left), self.embed(right)
        return F.cosine_similarity(left, right), F.pairwise_distance(left, right)


class GraphConv(nn.Module):
    def __init__(self, features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        return torch.bmm(adjacency, x @ self.weight) + self.bias


class GraphNet(nn.Module):
    """Graph convolutions with a dense adjacency (arXiv 1609.02907)."""

    def __init__(self) -> None:
        super().__init__()
        self.gc1, self.gc2 = GraphConv(5, 8), GraphConv(8, 3)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        adjacency = adjacency / adjacency.sum(-1, keepdim=True).clamp(min=9)
        return self.gc2(self.gc1(x, adjacency).relu(), adjacency).log_softmax(-1)


class Expert(nn.Module):
    def __init__(self, features: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(features, hidden), nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x)))


class Mixture(nn.Module):
    """A soft mixture of experts: the gates are multiplied with what the experts say."""

    def __init__(self) -> None:
        super().__init__()
        self.experts, self.gate = nn.ModuleList(Expert(6, 8) for _ in range(3)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        said = torch.stack([expert(x) for expert in self.experts], dim=1)
        return (F.softmax(self.gate(x), dim=-1).unsqueeze(-1) * said).sum(dim=1)


class Attention(nn.Module):
    def __init__(self, dim: int, context: int, heads: int = 2):
        super().__init__()
        self.heads, self.to_q = heads, nn.Linear(dim, dim, bias=False)
        self.to_kv, self.to_out = nn.Linear(context, 2 * dim, bias=False), nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, (k, v) = self.to_q(x), self.to_kv(context).chunk(2, dim=-1)
        shape = x.shape[0], -1, self.heads, q.shape[-1] // self.heads
        q, k, v = (t.reshape(shape).transpose(1, 2) for t in (q, k, v))
        weights = torch.einsum("bhid,bhjd->bhij", q, k * shape[-1] ** -0.5).softmax(-1)
        return self.to_out(torch.einsum("bhij,bhjd->bhid", weights, v).transpose(1, 2).flatten(2))


class Perceiver(nn.Module):
    """Latents attend to the data and to themselves (arXiv 2103.03206)."""

    def __init__(self) -> None:
        super().__init__()
        self.latents, self.norm = nn.Parameter(torch.randn(3, 8)), nn.LayerNorm(8)
        self.cross, self.own = Attention(8, 5), Attention(8, 8)

    def forward(self, data: Tensor) -> Tensor:
        x = self.latents.unsqueeze(0).repeat(data.shape[0], 1, 1)
        x = self.cross(self.norm(x), data) + x
        return (self.own(x, x) + x).mean(dim=-2)


class FourierFeatures(nn.Module):
    """Places as random frequencies (arXiv 2006.10739)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, 6))
        self.net = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        angles = 2 * torch.pi * x @ self.frequencies
        return self.net(torch.cat([angles.sin(), angles.cos()], dim=-1))


class Autoencoder(nn.Module):
    """Both directions begin with zeros that the author makes; the last state is repeated for the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
        self.decoder, self.out = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        zeros = torch.zeros(2, x.size(0), 3, dtype=x.dtype)
        states, _ = self.encoder(x, (zeros, zeros))
        latent = states[:, -1].unsqueeze(1).repeat(1, x.size(1), 1)
        return self.out(self.decoder(latent)[0])


IMAGE, TOKENS = torch.randn(3, 3, 9, 9), torch.randn(3, 6, 5)
SEQUENCE = ("T", "C")


@pytest.mark.parametrize(
    ("make", "inputs", "axes", "said"),
    [
        (
            Siamese,
            {"left": IMAGE, "right": IMAGE},
            {},
            "  - reuse: encoder\n    from: right\n  - squeeze: {over: [H, W]}\n  - reuse: fc\n",
        ),
        (
            GraphNet,
            {"x": TOKENS, "adjacency": torch.rand(3, 6, 6)},
            {"x": SEQUENCE, "adjacency": ("T", "S")},
            "      - weight: {axes: {I: x.C, O: out_features}}\n        as: weight\n      - linear: {weight: weight}\n",
        ),
        (
            Mixture,
            {"x": torch.randn(3, 6)},
            {},
            "  - softmax\n  - rename: {axes: {C: part}}\n  - multiply: [prev, stack]\n",
        ),
        (
            Perceiver,
            {"data": TOKENS},
            {"data": SEQUENCE},
            "  - weight: {axes: {T: 3, C: 8}}\n    as: latents\n",
        ),
        (FourierFeatures, {"x": torch.randn(3, 6, 2)}, {"x": SEQUENCE}, "  - concat: [sin, prev]\n"),
        (Autoencoder, {"x": TOKENS}, {"x": SEQUENCE}, "  - lstm: {units: 3, bidirectional: true}\n"),
    ],
    ids=["Siamese", "GraphNet", "Mixture", "Perceiver", "FourierFeatures", "Autoencoder"],
)
def test_a_network_becomes_its_equal(
    make: type[nn.Module], inputs: dict[str, Tensor], axes: dict[str, tuple[str, ...]], said: str
) -> None:
    with ConstructorWatch() as watch:
        model = make()
    imported = import_live(model, inputs, make.__name__, watch, axes=axes)
    assert largest_difference(imported, model, list(inputs.values())) < 1e-12, imported.text
    assert said in imported.text, imported.text
    assert imported.key_map.is_strict and "weights:" not in imported.text
    assert imported.model.source("keras")


class Up(nn.Module):
    """What was halved from an odd size is padded after it was doubled."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], dim=1))


class OddUNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.pool, self.up1, self.up2 = nn.MaxPool2d(2), Up(16, 4), Up(8, 2)
        self.third = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(self.pool(first))
        return self.up2(self.up1(self.third(self.pool(second)), second), first)


@pytest.mark.parametrize("size", [(11, 14), (8, 12)])
def test_paddings_to_the_size_of_another_value_fit_any_size(size: tuple[int, int]) -> None:
    with ConstructorWatch() as watch:
        model = OddUNet()
    imported = import_live(model, {"x": torch.randn(3, 3, *size)}, "OddUNet", watch)
    other = torch.randn(3, 3, 13, 19)
    assert largest_difference(imported, model, [other]) < 1e-12, imported.text
    assert "H: [(skip.H - prev.H) // 2, (skip.H - prev.H + 1) // 2]" in imported.text, imported.text
    assert imported.text.count("- pad:") == 1 and imported.key_map.is_strict


class MaskedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= torch.ones(3, 3).tril()
        return super().forward(x)


def test_a_weight_that_is_changed_in_place_is_refused() -> None:
    with pytest.raises(
        RefusedJob, match="SB966 the model changes a weight of its own in place in 0 "
    ) as refusal:
        import_live(nn.Sequential(MaskedConv(3, 4, 3)), {"x": IMAGE})
    assert "F.conv2d(x, self.weight * self.mask)" in refusal.value.hint

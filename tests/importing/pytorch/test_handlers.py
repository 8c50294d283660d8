"""A row for each handler: a small function or layer, imported, compared with itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.importing.pytorch.handlers.registry import HANDLERS
from tests.importing.compared import import_live, largest_difference

MAP, TOKENS, FLAT = (6, 8, 8), (10, 6), (6,)


class Wrapped(nn.Module):
    """A function as a model, after a linear layer that gives it something to learn."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) * self.scale


def assign_part(x: Tensor) -> Tensor:
    y = x * 3
    y[:, :, 1:, :-2] = y[:, :, 1:, :-2].tanh() + 1
    return y * 2


def sample_affine(x: Tensor, align_corners: bool = False) -> Tensor:
    theta = x.mean((2, 3)).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners), align_corners=align_corners)


def add_to_part(x: Tensor) -> Tensor:
    y = x * 3
    y[..., 1:, 2:5] += x.mean((2, 3), keepdim=True)
    return y * 2


def multiply_windows(x: Tensor) -> Tensor:
    """Multiply windows, whose rows and columns lie in one dimension, with one vector for each of them."""
    batch = x.shape[0]
    windows = x.reshape(batch, 6, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(batch, 4, 16, 6)
    vectors = F.avg_pool2d(x, 4).flatten(2).transpose(1, 2).unsqueeze(2)
    return windows @ vectors.transpose(-1, -2)


def pool_window(x: Tensor) -> Tensor:
    """Pool a window that is the whole map, between its partition and the reverse, as in SAM 2's Hiera."""
    batch, maps = x.shape[0], x.permute(0, 2, 3, 1)
    windows = maps.view(batch, 1, 8, 1, 8, 6).permute(0, 1, 3, 2, 4, 5).reshape(-1, 8, 8, 6)
    pooled = F.max_pool2d(windows.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    whole = pooled.reshape(batch, 1, 1, 4, 4, 6).permute(0, 1, 3, 2, 4, 5).reshape(batch, 4, 4, 6)
    return whole + F.max_pool2d(x, 2).permute(0, 2, 3, 1)


# What is imported: layers by their constructor, functions by what they do; with the shape of the input.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "nn.Conv1d": (lambda: nn.Conv1d(6, 4, 3, 2, 1), (6, 12)),
    "nn.Conv2d": (lambda: nn.Conv2d(6, 4, (1, 3), 2, (0, 1), groups=2), MAP),
    "nn.Conv3d": (lambda: nn.Conv3d(2, 4, 3, padding=1), (2, 4, 4, 4)),
    "nn.ConvTranspose1d": (lambda: nn.ConvTranspose1d(6, 4, 3, 2, 1, 1), (6, 8)),
    "nn.ConvTranspose2d": (lambda: nn.ConvTranspose2d(6, 4, 3, 2, 1, 1), MAP),
    "nn.ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 4, 2, 2), (2, 3, 3, 3)),
    "nn.Linear": (lambda: nn.Linear(6, 4, bias=False), TOKENS),
    "nn.LSTM": (lambda: First(nn.LSTM(6, 4, batch_first=True)), TOKENS),
    "nn.GRU": (lambda: First(nn.GRU(6, 4, batch_first=True)), TOKENS),
    "nn.RNN": (lambda: First(nn.RNN(6, 4, 2, "relu", batch_first=True, bidirectional=True)), TOKENS),
    "nn.RMSNorm": (lambda: nn.RMSNorm(6, 1e-5), TOKENS),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 4, 3, padding=1)), (6, 12)),
    "nn.CosineSimilarity": (lambda: Twice(nn.CosineSimilarity(-1, 1e-6)), TOKENS),
    "nn.PairwiseDistance": (lambda: Twice(nn.PairwiseDistance(1, keepdim=True)), FLAT),
    "nn.GRUCell": (lambda: nn.GRUCell(6, 4), FLAT),
    "nn.RNNCell": (lambda: nn.RNNCell(6, 4, nonlinearity="relu", bias=False), FLAT),
    "nn.LSTMCell": (lambda: First(nn.LSTMCell(6, 4)), FLAT),
    "nn.Threshold": (lambda: nn.Threshold(0.1, 20.0), FLAT),
    "nn.Unfold": (lambda: nn.Unfold((2, 3), padding=(0, 1), stride=2), MAP),
    "nn.Fold": (lambda: nn.Fold((9, 8), (3, 2), stride=2, padding=(1, 0)), (12, 20)),
    "nn.PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), MAP),
    "nn.ChannelShuffle": (lambda: nn.ChannelShuffle(2), MAP),
    **{
        f"nn.{kind}Pad{n}d": (lambda kind=kind, n=n: getattr(nn, f"{kind}Pad{n}d")(1), (2, 4, 5, 6)[: n + 1])
        for kind in ("Zero", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    },
    **{
        f"nn.ConstantPad{n}d": (
            lambda n=n: getattr(nn, f"ConstantPad{n}d")([1, 0] * n, 0.5),
            (2, 4, 5, 6)[: n + 1],
        )
        for n in (1, 2, 3)
    },
    "nn.MultiheadAttention": (lambda: SelfAttention(6, 2), TOKENS),
    "nn.BatchNorm1d": (lambda: nn.BatchNorm1d(6), FLAT),
    "nn.BatchNorm2d": (lambda: nn.BatchNorm2d(6, 1e-3, 0.01), MAP),
    "nn.BatchNorm3d": (lambda: nn.BatchNorm3d(2), (2, 3, 3, 3)),
    "nn.LayerNorm": (lambda: nn.LayerNorm(6, 1e-6), TOKENS),
    "nn.GroupNorm": (lambda: nn.GroupNorm(2, 6), MAP),
    "nn.InstanceNorm1d": (lambda: nn.InstanceNorm1d(6, affine=True), (6, 8)),
    "nn.InstanceNorm2d": (lambda: nn.InstanceNorm2d(6), MAP),
    "nn.InstanceNorm3d": (lambda: nn.InstanceNorm3d(2), (2, 3, 3, 3)),
    "rms_norm": (lambda: Normed(6), TOKENS),
    "nn.LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, 1e-2), MAP),
    "nn.Dropout": (lambda: nn.Dropout(0.3), FLAT),
    "nn.Dropout1d": (lambda: nn.Dropout1d(0.3), (6, 8)),
    "nn.Dropout2d": (lambda: nn.Dropout2d(0.3), MAP),
    "nn.Dropout3d": (lambda: nn.Dropout3d(0.3), (2, 3, 3, 3)),
    "nn.DropPath": (lambda: DropPath(0.2), MAP),
    "nn.MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1), (6, 9)),
    "nn.MaxPool2d": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), MAP),
    "nn.MaxPool3d": (lambda: nn.MaxPool3d(2), (2, 4, 4, 4)),
    "nn.AvgPool1d": (lambda: nn.AvgPool1d(2), (6, 8)),
    "nn.AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), MAP),
    "nn.AvgPool3d": (lambda: nn.AvgPool3d(2), (2, 4, 4, 4)),
    "nn.AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (6, 8)),
    "nn.AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((1, 1)), MAP),
    "nn.AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d(1), (2, 4, 4, 4)),
    "nn.AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d((1, 2, 2)), (2, 4, 4, 4)),
    "nn.AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(1), (6, 8)),
    "nn.AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), MAP),
    "nn.Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), MAP),
    "nn.UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), MAP),
    "nn.UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), MAP),
    "nn.Identity": (lambda: nn.Sequential(nn.Identity(), nn.ReLU()), FLAT),
    "nn.PReLU": (lambda: nn.PReLU(6), MAP),
    "nn.Hardtanh": (lambda: nn.Hardtanh(-0.5, 0.7), FLAT),
    "nn.Softmax": (lambda: nn.Softmax(1), MAP),
    "nn.LogSoftmax": (lambda: nn.LogSoftmax(-1), FLAT),
    "nn.GLU": (lambda: nn.GLU(1), MAP),
    "nn.Flatten": (lambda: nn.Flatten(), MAP),
    "nn.Unflatten": (lambda: nn.Unflatten(1, (2, 3)), FLAT),
    "nn.PixelShuffle": (lambda: nn.PixelShuffle(2), (8, 4, 4)),
    **{
        f"nn.{name}": (getattr(nn, name), FLAT)
        for name in """ReLU ReLU6 SELU SiLU Mish Softsign Sigmoid Tanh Hardsigmoid Hardswish LogSigmoid Tanhshrink
        LeakyReLU ELU CELU GELU Softplus Hardshrink Softshrink""".split()
    },
}
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "matmul": (lambda x: x @ x.transpose(1, 2), TOKENS),
    "matmul_with_vectors": (
        lambda x: (x @ torch.arange(6).to(x))[..., None] + (torch.ones(10).to(x) @ x)[:, None],
        TOKENS,
    ),
    "matmul_of_windows": (multiply_windows, MAP),
    "max_pool2d_of_a_window": (pool_window, MAP),
    "bmm": (lambda x: torch.bmm(x.transpose(1, 2), x), TOKENS),
    "einsum": (lambda x: torch.einsum("btc,bsc->bts", x, x * 2), TOKENS),
    "scaled_dot_product_attention": (lambda x: F.scaled_dot_product_attention(x, x, x), TOKENS),
    "normalize": (lambda x: F.normalize(x, dim=1), FLAT),
    "dropout": (lambda x: F.dropout(x, 0.3, False), FLAT),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), MAP),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 1, 1), MAP),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 1), (6, 8)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (2, None)), MAP),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 1), MAP),
    "interpolate": (lambda x: F.interpolate(x, (12, 10), mode="bilinear", align_corners=True), MAP),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), FLAT),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), FLAT),
    "elu": (lambda x: F.elu(x, 0.5), FLAT),
    "softplus": (lambda x: F.softplus(x), FLAT),
    "hardtanh": (lambda x: F.hardtanh(x, 0, 6), FLAT),
    "clamp": (lambda x: x.clamp(min=-0.2), FLAT),
    "pow": (lambda x: x**3, FLAT),
    "softmax": (lambda x: x.softmax(1), MAP),
    "log_softmax": (lambda x: x.log_softmax(1), FLAT),
    "glu": (lambda x: F.glu(x, 1), MAP),
    "masked_fill": (lambda x: x.masked_fill(torch.ones(10, 6, dtype=torch.bool).tril(), 0.5), TOKENS),
    "addcmul": (lambda x: torch.addcmul(x, x, x, value=0.5), FLAT),
    "mean": (lambda x: x.mean((2, 3), keepdim=True) * x, MAP),
    "sum": (lambda x: x.sum(-1), MAP),
    "amax": (lambda x: x.amax((2, 3)), MAP),
    "amin": (lambda x: x.amin(1), MAP),
    "logsumexp": (lambda x: x.logsumexp(1), MAP),
    "max": (lambda x: x.max(1)[0] + x.max(1, keepdim=True).values.squeeze(1), MAP),
    "min": (lambda x: x.min(1)[0], MAP),
    "var": (lambda x: x.var((2, 3), unbiased=False), MAP),
    "std": (lambda x: x.std(1), MAP),
    "norm": (lambda x: x.norm(dim=1) + torch.linalg.vector_norm(x, 1, 1), MAP),
    "cosine_similarity": (lambda x: F.cosine_similarity(x, x.exp()), MAP),
    "pairwise_distance": (lambda x: F.pairwise_distance(x, x.exp()), TOKENS),
    "flatten": (lambda x: x.flatten(2).transpose(1, 2), MAP),
    "reshape": (
        lambda x: x.reshape(3 if x.shape[0] == 3 else 2, 2, 3, 8, 8).transpose(1, 2).flatten(1, 2),
        MAP,
    ),
    "reshape_as": (lambda x: x.flatten(1).reshape_as(x), MAP),
    "unflatten": (lambda x: x.unflatten(1, (2, -1)).mean(1), MAP),
    "permute": (lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2).relu(), MAP),
    "movedim": (lambda x: x.movedim(1, -1).softmax(-1).movedim(-1, 1), MAP),
    "unsqueeze": (lambda x: x.unsqueeze(-1).squeeze(-1).relu(), FLAT),
    "expand": (lambda x: x.mean(1, keepdim=True).expand(-1, 6, -1, -1) * x, MAP),
    "expand_as": (lambda x: x.mean(1, keepdim=True).expand_as(x) + x, MAP),
    "cat": (lambda x: torch.cat([x, x.relu()], 1), MAP),
    "cat_with_nothing": (lambda x: torch.cat([x[:, :, :0], x.relu(), x[:, :, 8:], x[:, :, :1]], 2), MAP),
    "cat_of_one": (lambda x: torch.cat([x[:, :0], x.relu()], 1), MAP),
    "einsum_with_dots": (lambda x: torch.einsum("...ij,...kj->...ik", x, x.relu()), MAP),
    "grid_sample": (lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), "nearest", "border", True), MAP),
    "affine_grid": (sample_affine, MAP),
    "affine_grid_of_corners": (lambda x: sample_affine(x, True), (6, 5, 9)),
    "select_of_stack": (lambda x: torch.stack([x, x.relu(), x * 2], 1).flatten(1, 2)[:, -2], MAP),
    "assign_part": (assign_part, MAP),
    "add_to_part": (add_to_part, MAP),
    "stack": (lambda x: torch.stack([x, x.relu()], 1).mean(1), MAP),
    "chunk": (lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1].sigmoid(), MAP),
    "split": (lambda x: x.split([2, 4], 1)[1].relu(), MAP),
    "unbind": (lambda x: x.unflatten(-1, (3, 2)).unbind(2)[1].relu(), TOKENS),
    "getitem": (lambda x: x[:, 1:, None, ..., ::2].squeeze(2).relu(), MAP),
    "__getitem__": (lambda x: x[:, [3, 0, -1]].tanh(), TOKENS),
    "select": (lambda x: x.select(1, 2).relu(), TOKENS),
    "narrow": (lambda x: x.narrow(1, 2, 3).relu(), TOKENS),
    "index_select": (lambda x: x.index_select(1, torch.tensor([2, 0, 1])), TOKENS),
    "roll": (lambda x: x.roll((1, -2), (2, 3)), MAP),
    "flip": (lambda x: x.flip(2), MAP),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), MAP),
    "pad_that_cuts": (lambda x: F.pad(x, (-1, 1, 2, -3)) + F.pad(x, (0, 0, -1, 0))[:, :, :7], MAP),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (8, 4, 4)),
    "unfold": (lambda x: x.unfold(2, 4, 2).unfold(3, 4, 4).sum(-2).amax(-1), MAP),
    "fold": (lambda x: F.fold(F.unfold(x, 3, 1, 1) * 2, (8, 8), 3, padding=1), MAP),
    "repeat": (lambda x: x.repeat(1, 2, 1).tanh(), TOKENS),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), MAP),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 3), MAP),
    "where": (lambda x: torch.where(x > 0.1, x, x.square()) + torch.where(x < 0, 0.5, x), FLAT),
    "cumsum": (lambda x: x.cumsum(1), TOKENS),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, dim=1), TOKENS),
    "argmax": (lambda x: x * x.argmax(1, keepdim=True).to(x.dtype), TOKENS),
    **{
        name: (lambda x, name=name: x * getattr(torch, name)(x, x.mean(1, keepdim=True)).to(x.dtype), TOKENS)
        for name in ("gt", "ge", "lt", "le")
    },
    "rsub": (lambda x: 1 - x, FLAT),
    "rdiv": (lambda x: 2 / (x.square() + 1), FLAT),
    "add": (lambda x: torch.add(x, x.relu(), alpha=0.5), FLAT),
    "sub": (lambda x: x - x.relu() * 2, FLAT),
    "div": (lambda x: x / (x.abs() + 1) / 3, FLAT),
    "maximum": (lambda x: torch.maximum(x, x.neg()), FLAT),
    "float": (lambda x: x * (x > 0).double() + x.argmax(1, keepdim=True).type_as(x), FLAT),
    "to": (lambda x: x.to(x.dtype).contiguous().clone().relu(), FLAT),
    **{
        name: (getattr(torch, name), FLAT)
        for name in "relu sigmoid tanh neg abs square exp sin cos erf".split()
    },
    **{
        name: (lambda x, name=name: getattr(torch, name)(x.square() + 1), FLAT)
        for name in "sqrt rsqrt reciprocal log".split()
    },
    **{
        name: (getattr(F, name), FLAT)
        for name in "relu6 selu silu mish softsign hardsigmoid hardswish logsigmoid tanhshrink".split()
    },
}


class First(nn.Module):
    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Twice(nn.Module):
    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer, self.scale = layer, nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x.exp() * self.scale)


class Normed(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)


class SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0] + x


class DropPath(nn.Module):
    def __init__(self, drop_prob: float):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return x


CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    **{name: (lambda make=make: nn.Sequential(make()), shape) for name, (make, shape) in LAYERS.items()},
    **{name: (lambda f=f: Wrapped(f), shape) for name, (f, shape) in FUNCTIONS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_becomes_steps_that_compute_the_same(name: str) -> None:
    make, shape = CASES[name]
    model = make()
    x = torch.randn((3, *shape), generator=torch.Generator().manual_seed(5))
    axes = {"x": ("C", "W")} if "1d" in name and len(shape) == 2 else {}
    imported = import_live(model, {"x": x}, "Net", axes=axes)
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text


# Other spellings of functions above, and those that nets, oracles and rows above call on the way.
SPELLINGS = set(
    """vector_norm mm mv dot vdot concat concatenate tensor_split split_with_sizes view view_as swapaxes swapdims transpose t T mT moveaxis
    squeeze expand_copy tile nn.Embedding nn.NonDynamicallyQuantizableLinear conv1d conv2d conv3d linear
    write_parts batch_norm layer_norm group_norm max_pool2d_with_indices boolean_dispatch adaptive_max_pool1d adaptive_avg_pool3d
    adaptive_max_pool3d upsample clip
    subtract mul multiply truediv true_divide minimum radd rsubtract rmul rmultiply rtruediv rtrue_divide rmaximum
    rminimum negative logical_not sign floor trunc contiguous clone float type_as double cpu requires_grad alias
    detach greater greater_equal less less_equal eq ne not_equal""".split()
)


def test_every_handler_has_a_row() -> None:
    assert HANDLERS.handlers.keys() - CASES.keys() - SPELLINGS == set()

"""A decoder whose settings are one object, with norms, activations and shared keys written out by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Config:
    vocab: int = 50
    dim: int = 32
    n_layers: int = 2
    n_heads: int = 8
    n_kv_heads: int = 2
    hidden: int = 80


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def repeat_heads(x: Tensor, times: int) -> Tensor:
    b, h, t, d = x.shape
    return x[:, :, None].expand(b, h, times, t, d).reshape(b, h * times, t, d)


class Attention(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.heads, self.groups, self.size = cfg.n_heads, cfg.n_kv_heads, cfg.dim // cfg.n_heads
        self.wq = nn.Linear(cfg.dim, self.heads * self.size, bias=False)
        self.wk = nn.Linear(cfg.dim, self.groups * self.size, bias=False)
        self.wv = nn.Linear(cfg.dim, self.groups * self.size, bias=False)
        self.wo = nn.Linear(self.heads * self.size, cfg.dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = self.wq(x).view(b, t, self.heads, self.size).transpose(1, 2)
        k = self.wk(x).view(b, t, self.groups, self.size).transpose(1, 2)
        v = self.wv(x).view(b, t, self.groups, self.size).transpose(1, 2)
        k, v = (repeat_heads(y, self.heads // self.groups) for y in (k, v))
        scores = (q @ k.transpose(-2, -1) / math.sqrt(self.size)).masked_fill(mask, -math.inf)
        return self.wo((F.softmax(scores, -1) @ v).transpose(1, 2).reshape(b, t, -1))


class FeedForward(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.up = nn.Linear(cfg.dim, 2 * cfg.hidden, bias=False)
        self.middle = nn.Linear(cfg.hidden, cfg.hidden)
        self.down = nn.Linear(cfg.hidden, cfg.dim)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.up(x).chunk(2, dim=-1)
        x = self.middle(value * torch.sigmoid(gate))
        x = x * torch.sigmoid(x)
        return self.down(x * torch.tanh(F.softplus(x)))


class Layer(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.attn_norm, self.attn = RMSNorm(cfg.dim), Attention(cfg)
        self.ffn_norm, self.ffn = RMSNorm(cfg.dim), FeedForward(cfg)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attn(self.attn_norm(x), mask)
        return x + self.ffn(self.ffn_norm(x))


class Decoder(nn.Module):
    def __init__(self, cfg: Config | None = None):
        super().__init__()
        cfg = cfg or Config()
        self.embed = nn.Embedding(cfg.vocab, cfg.dim)
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg.n_layers))
        self.norm, self.head = RMSNorm(cfg.dim), nn.Linear(cfg.dim, cfg.vocab, bias=False)

    def forward(self, idx: Tensor) -> Tensor:
        x = self.embed(idx)
        mask = torch.ones(idx.size(1), idx.size(1), dtype=torch.bool).triu(1)
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(self.norm(x))

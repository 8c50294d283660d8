"""Dropout that PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch
from torch import nn


class DropPath(nn.Module):
    """Drop whole samples of a residual branch in training (stochastic depth)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0.0:
            return x
        kept = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1.0 - self.rate)
        return x * kept / (1.0 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"

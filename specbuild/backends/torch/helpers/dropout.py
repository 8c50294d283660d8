"""Dropout that PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch
import torch.nn.functional as F
from torch import nn


class DropPath(nn.Module):
    """Drop whole samples of a residual branch in training (stochastic depth)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0.0:
            return x
        kept = F.dropout(x.new_ones(x.shape[0]), self.rate)
        return (x.movedim(0, -1) * kept).movedim(-1, 0)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"

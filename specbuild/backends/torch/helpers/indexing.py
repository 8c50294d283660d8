"""Encoding of integers that PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch
import torch.nn.functional as F
from torch import nn


class OneHot(nn.Module):
    """One-hot codes in the dtype of the model, which `half()` and `double()` change."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("example", torch.empty(0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.one_hot(x.long(), self.count).to(self.example.dtype)

    def extra_repr(self) -> str:
        return f"{self.count}"


def segment_reduce(
    x: torch.Tensor, index: torch.Tensor, count: int, reduce: str = "sum"
) -> torch.Tensor:
    """Reduce the positions of the index's last dimension that have the same index.

    `reduce` is sum, mean or max. A segment without any position is 0.
    """
    dim = index.ndim - 1
    places = index.long()[(..., *[None] * (x.ndim - index.ndim))].expand_as(x)
    result = x.new_zeros(*x.shape[:dim], count, *x.shape[dim + 1 :])
    method = "amax" if reduce == "max" else reduce
    return result.scatter_reduce(dim, places, x, method, include_self=False)

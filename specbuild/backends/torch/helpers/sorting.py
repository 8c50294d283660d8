"""Sorting that PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch


def top_k(
    x: torch.Tensor, k: int, axis: int = -1, largest: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `torch.topk`; of equal values, the one with the lower index comes first."""
    values, indices = x.sort(stable=True, dim=axis, descending=largest)
    return values.narrow(axis, 0, k), indices.narrow(axis, 0, k)

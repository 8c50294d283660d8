"""Checks of sizes: helpers copied into an emitted file that uses them."""

import torch


@torch.fx.wrap
def check_size(x: torch.Tensor, dim: int, size: int, name: str) -> None:
    """Raise ValueError for another size than that which the network is made for."""
    if x.shape[dim] != size:
        raise ValueError(f"{name} must be {size}, got {x.shape[dim]}")


@torch.fx.wrap
def check_least(x: torch.Tensor, dim: int, size: int, name: str) -> None:
    """Raise ValueError for a size with which nothing would be left."""
    if x.shape[dim] < size:
        raise ValueError(f"{name} must be at least {size}, got {x.shape[dim]}")

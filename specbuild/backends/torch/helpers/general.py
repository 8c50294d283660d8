"""What PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch
import torch.nn.functional as F
from torch import nn


class ToFloat(nn.Module):
    """Floats in the dtype of the model, which `half()` and `double()` change."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("example", torch.empty(0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.example.dtype)


def pad_same(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
    value: float = 0.0,
) -> torch.Tensor:
    """Pad as TensorFlow's "same" does: to ceil(size / stride), the odd one behind."""
    pads: list[int] = []
    for i in reversed(range(len(kernel))):
        reach = (dilation[i] if dilation else 1) * (kernel[i] - 1) + 1
        size = x.shape[i - len(kernel)]
        total = reach - 1 - (size - 1) % stride[i]
        if reach < stride[i]:
            total = max(total, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def unfilled_table(*sizes: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A table whose numbers come with the weights: before they are loaded, it has no numbers that one could use."""
    value = float("nan") if dtype is None else -(2**31)
    return torch.full(sizes, value, dtype=dtype)

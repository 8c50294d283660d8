"""What PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch
import torch.nn.functional as F


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
        total = max((size - 1) // stride[i] * stride[i] + reach - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)

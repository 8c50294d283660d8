"""Convolutions that PyTorch lacks: helpers copied into an emitted file that uses them."""

import torch


def conv_each(
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> torch.Tensor:
    """Convolution with a kernel for each sample, as one convolution in groups: a sample is a group of channels."""
    batch, channels = weight.shape[:2]
    y = torch.convolution(
        x.flatten(0, 1)[None],
        weight.flatten(0, 1),
        None,
        stride,
        padding,
        dilation,
        False,
        [0] * len(stride),
        batch * groups,
    )
    return y[0].unflatten(0, (batch, channels))

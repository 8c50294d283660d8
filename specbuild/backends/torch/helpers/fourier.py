"""Fourier transforms of real and imaginary parts: helpers copied into an emitted file that uses them."""

import torch


def fft(
    real: torch.Tensor,
    imaginary: torch.Tensor | None = None,
    axes: tuple[int, ...] = (-1,),
    norm: str = "backward",
) -> tuple[torch.Tensor, torch.Tensor]:
    """`torch.fft.fftn` of a real and an imaginary part."""
    x = as_single(real)
    if imaginary is not None:
        x = torch.complex(x, as_single(imaginary))
    y = torch.fft.fftn(x, dim=axes, norm=norm)
    return y.real.to(real.dtype), y.imag.to(real.dtype)


def ifft(
    real: torch.Tensor,
    imaginary: torch.Tensor | None = None,
    axes: tuple[int, ...] = (-1,),
    norm: str = "backward",
) -> tuple[torch.Tensor, torch.Tensor]:
    """`torch.fft.ifftn` of a real and an imaginary part."""
    x = as_single(real)
    if imaginary is not None:
        x = torch.complex(x, as_single(imaginary))
    y = torch.fft.ifftn(x, dim=axes, norm=norm)
    return y.real.to(real.dtype), y.imag.to(real.dtype)


def rfft(
    x: torch.Tensor, axes: tuple[int, ...] = (-1,), norm: str = "backward"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The real and the imaginary part of `torch.fft.rfftn`."""
    y = torch.fft.rfftn(as_single(x), dim=axes, norm=norm)
    return y.real.to(x.dtype), y.imag.to(x.dtype)


def irfft(
    real: torch.Tensor,
    imaginary: torch.Tensor,
    size: int | None = None,
    axes: tuple[int, ...] = (-1,),
    norm: str = "backward",
) -> torch.Tensor:
    """`torch.fft.irfftn`; the last dimension gets `size` positions, by default 2 n - 2."""
    if size is None:
        size = 2 * real.shape[axes[-1]] - 2
    sizes = [*(real.shape[d] for d in axes[:-1]), size]
    x = torch.complex(as_single(real), as_single(imaginary))
    return torch.fft.irfftn(x, s=sizes, dim=axes, norm=norm).to(real.dtype)


def as_single(x: torch.Tensor) -> torch.Tensor:
    """Half precision as single precision, which transforms need."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x

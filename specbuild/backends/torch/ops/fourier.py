"""Fourier transforms in PyTorch."""

from __future__ import annotations

from specbuild.backends.fourier import TRANSFORMS, emit_irfft, emit_transform
from specbuild.backends.torch.framework import emits
from specbuild.ops.fourier import Irfft

emits(*TRANSFORMS)(emit_transform)
emits(Irfft)(emit_irfft)

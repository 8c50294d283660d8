"""Fourier transforms in Keras."""

from __future__ import annotations

from specbuild.backends.fourier import TRANSFORMS, emit_irfft, emit_transform
from specbuild.backends.keras.framework import emits
from specbuild.ops.fourier import Irfft

emits(*TRANSFORMS)(emit_transform)
emits(Irfft)(emit_irfft)

"""Fourier transforms against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.reference import Array, computed, drawn

INPUTS = "{x: {C: 4, H: 5, W: 6}, y: {C: 4, H: 5, W: 6}}"


def result(step: str, part: str) -> Array:
    given = {"x": drawn(2, 4, 5, 6), "y": drawn(2, 4, 5, 6, seed=1)}
    rest = f"\n  as: f\n- scale: {{by: 1}}\n  from: f.{part}" if part else ""
    return computed(INPUTS, f"- {step}\n  from: x{rest}", given)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transforms(norm: Any) -> None:
    x, y = drawn(2, 4, 5, 6), drawn(2, 4, 5, 6, seed=1)
    complex_ = np.fft.fftn(x + 1j * y, axes=(2, 3), norm=norm)
    np.testing.assert_allclose(
        result(f"fft: {{over: [H, W], imaginary: y, norm: {norm}}}", "real"), complex_.real, atol=1e-12
    )
    np.testing.assert_allclose(
        result(f"fft: {{over: [H, W], imaginary: y, norm: {norm}}}", "imaginary"), complex_.imag, atol=1e-12
    )
    half = np.fft.rfftn(x, axes=(3, 2), norm=norm)
    np.testing.assert_allclose(
        result(f"rfft: {{over: [W, H], norm: {norm}}}", "imaginary"), half.imag, atol=1e-12
    )
    inverse = np.fft.ifft(x + 1j * y, axis=3, norm=norm)
    np.testing.assert_allclose(
        result(f"ifft: {{over: W, imaginary: y, norm: {norm}}}", "imaginary"), inverse.imag, atol=1e-12
    )
    real = np.fft.irfftn(x + 1j * y, s=(6, 9), axes=(3, 2), norm=norm)
    np.testing.assert_allclose(
        result(f"irfft: {{over: [W, H], imaginary: y, size: 9, norm: {norm}}}", ""), real, atol=1e-12
    )

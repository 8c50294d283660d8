"""Fourier transforms over several axes, which Keras lacks: helpers copied into an emitted file that uses them."""

import keras
from keras import ops


def fft(real, imaginary=None, axes=(-1,), norm="backward"):
    """The Fourier transform over these axes, as a real and an imaginary part."""
    if imaginary is None:
        imaginary = ops.zeros_like(real)
    for axis in axes:
        divisor = norm_divisor(real, axis, norm)
        parts = transform(lambda a, b: ops.fft((a, b)), axis, real, imaginary)
        real, imaginary = (part / divisor for part in parts)
    return real, imaginary


def ifft(real, imaginary=None, axes=(-1,), norm="backward"):
    """The inverse of `fft`: the same with the parts exchanged, and another factor."""
    if imaginary is None:
        imaginary = ops.zeros_like(real)
    inverse = {"backward": "forward", "forward": "backward"}.get(norm, norm)
    imaginary, real = fft(imaginary, real, axes, inverse)
    return real, imaginary


def rfft(x, axes=(-1,), norm="backward"):
    """The first half of `fft` of a real value along the last of these axes."""
    *others, last = axes
    divisor = norm_divisor(x, last, norm)
    real, imaginary = (part / divisor for part in transform(ops.rfft, last, x))
    return fft(real, imaginary, others, norm)


def irfft(real, imaginary, size=None, axes=(-1,), norm="backward"):
    """The inverse of `rfft`; the last of these axes gets `size` positions, by default 2 n - 2."""
    *others, last = axes
    if size is None:
        size = 2 * ops.shape(real)[last] - 2
    parts = ifft(real, imaginary, others, norm)
    [x] = transform(lambda a, b: [ops.irfft((a, b), size)], last, *parts)
    return x / (1 / norm_divisor(x, last, norm))


def transform(function, axis, *parts):
    """A function of the last axis along another one. Half precision becomes single in between."""
    dtype = keras.backend.standardize_dtype(parts[0].dtype)
    # A weight becomes a tensor by the sum: the functions refuse variables. No cast but from half precision: Keras
    # takes some symbolic values for float32 that are not.
    parts = [ops.moveaxis(part, axis, -1) + 0.0 for part in parts]
    if dtype not in ("float16", "bfloat16"):
        return [ops.moveaxis(part, -1, axis) for part in function(*parts)]
    parts = function(*(ops.cast(part, "float32") for part in parts))
    return [ops.cast(ops.moveaxis(part, -1, axis), dtype) for part in parts]


def norm_divisor(x, axis, norm):
    """The divisor of a forward transform along an axis: a product, Keras would treat as sparse."""
    if norm == "backward":
        return 1.0
    size = ops.shape(x)[axis]
    if not isinstance(size, int):  # it is known only at run time
        size = ops.cast(size, x.dtype)
    return size**0.5 if norm == "ortho" else size

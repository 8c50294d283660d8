"""Arithmetic on kernels, in float64 and in canonical form: the axes O and I, and then those of the window.

A transposed convolution has I before O. Channels are counted over all groups: group 0 has the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def scale_outputs(kernel: Array, factor: Array) -> Array:
    """Multiply what a kernel gives by a factor for each output."""
    return kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))


def scale_transposed_outputs(kernel: Array, factor: Array, groups: int) -> Array:
    """Multiply what the kernel of a transposed convolution gives by a factor for each output."""
    inputs, outputs, *window = kernel.shape
    grouped = kernel.reshape(groups, inputs // groups, outputs, *window)
    return (grouped * factor.reshape(groups, 1, outputs, *[1] * len(window))).reshape(kernel.shape)


def scale_inputs(kernel: Array, factor: Array, groups: int) -> Array:
    """Return the kernel that does to an input what the given one does to the input times a factor for each channel."""
    grouped = split_groups(kernel, groups)
    window = [1] * (kernel.ndim - 2)
    return (grouped * factor.reshape(groups, 1, kernel.shape[1], *window)).reshape(kernel.shape)


def respond_to_shift(kernel: Array, shift: Array, groups: int) -> Array:
    """Return what a kernel gives for an input that is `shift` at every position: a number for each output."""
    window = [1] * (kernel.ndim - 2)
    products = split_groups(kernel, groups) * shift.reshape(groups, 1, kernel.shape[1], *window)
    response: Array = products.reshape(kernel.shape[0], prod(kernel.shape[1:])).sum(1)
    return response


def split_groups(kernel: Array, groups: int) -> Array:
    """Return the kernel with the axis of outputs split: groups, and the outputs of each."""
    return kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])


def place_kernel(kernel: Array, before: Sequence[int], size: Sequence[int]) -> Array:
    """Return a kernel of another size, with zeros around the given one; `before` counts those before it."""
    import numpy as np  # imported late: to compile needs no arrays

    result = np.zeros((*kernel.shape[:2], *size))
    window = tuple(slice(n, n + k) for n, k in zip(before, kernel.shape[2:], strict=True))
    result[(slice(None), slice(None), *window)] = kernel
    return result


def identity_kernel(channels: int, groups: int, window_axes: int) -> Array:
    """Return the kernel of size 1 that gives its input."""
    import numpy as np  # imported late, as above

    each = channels // groups
    return np.tile(np.eye(each), (groups, 1)).reshape(channels, each, *[1] * window_axes)

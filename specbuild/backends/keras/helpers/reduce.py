"""Reductions that Keras lacks: helpers copied into an emitted file that uses them."""

import math

from keras import ops


def corrected_variance(x, axis, correction=1, keepdims=False):
    """Variance over `axis`, divided by the number of values less `correction`."""
    sizes = [x.shape[n] for n in ([axis] if isinstance(axis, int) else axis)]
    if None not in sizes and math.prod(sizes) <= correction:
        raise ValueError(
            f"the variance of {math.prod(sizes)} values divides by zero, got shape {x.shape}"
        )
    squares = ops.square(x - ops.mean(x, axis=axis, keepdims=True))
    count = ops.sum(ops.ones_like(x), axis=axis, keepdims=keepdims)
    if not isinstance(correction, int):  # a size that is known only at run time
        correction = ops.cast(correction, x.dtype)
    return ops.sum(squares, axis=axis, keepdims=keepdims) / (count - correction)


def safe_sqrt(x):
    """The square root; its gradient at zero is zero, as PyTorch has it for norms and deviations."""
    positive = x > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, x, 1.0)), 0.0)

"""Numbers computed from sizes, which may be tensors: helpers copied into an emitted file that uses them."""

import keras
from keras import ops


def float_size(size):
    """A size as a float: sizes that are known only at run time are tensors."""
    return (
        float(size) if isinstance(size, int) else ops.cast(size, keras.config.floatx())
    )


def choose_size(condition, a, b):
    """`a` if the condition is true, else `b`: a condition on sizes may be a tensor."""
    return (
        (a if condition else b)
        if isinstance(condition, bool)
        else ops.where(condition, a, b)
    )


def min_size(a, *others):
    """The smallest of some numbers or sizes."""
    for b in others:
        a = choose_size(a < b, a, b)
    return a


def max_size(a, *others):
    """The largest of some numbers or sizes."""
    for b in others:
        a = choose_size(a > b, a, b)
    return a


def check_size(x, dim, size, name):
    """Raise ValueError for another size than that which the network is made for."""
    if x.shape[dim] != size:
        raise ValueError(f"{name} must be {size}, got {x.shape[dim]}")


def check_multiple(x, dim, number, name):
    """Raise ValueError for a size that cannot be divided: a reshape would mix samples."""
    if x.shape[dim] is not None and x.shape[dim] % number:
        raise ValueError(f"{name} must be a multiple of {number}, got {x.shape[dim]}")


def require_size(x, axis, size):
    """`x`, whose axis must have this size: a reshape of another one would mix samples."""
    if x.shape[axis] != size:
        raise ValueError(f"axis {axis} must have size {size}, got shape {x.shape}")
    return x


def require_multiple(x, axis, number):
    """`x`, whose axis must be divisible: a reshape of another one would mix samples."""
    if x.shape[axis] is not None and x.shape[axis] % number:
        raise ValueError(
            f"the size of axis {axis} must be a multiple of {number}, got shape {x.shape}"
        )
    return x

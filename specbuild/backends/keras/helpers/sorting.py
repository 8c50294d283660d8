"""Sorting that Keras lacks: helpers copied into an emitted file that uses them."""

from keras import ops


def sort(x, axis=-1, descending=False):
    """The values in order, and their indices; equal values keep their order."""
    indices = ops.argsort(-x if descending else x, axis=axis)
    return ops.take_along_axis(x, indices, axis=axis), indices


def top_k(x, k, axis=-1, largest=True):
    """The k largest values in order, and their indices; of equal values, the first."""
    if x.shape[axis] is not None and x.shape[axis] < k:
        raise ValueError(f"axis {axis} has less than {k} values, got shape {x.shape}")
    indices = ops.argsort(-x if largest else x, axis=axis)
    along = (slice(None),) * (axis % len(x.shape))
    indices = indices[(*along, slice(k), ...)]
    return ops.take_along_axis(x, indices, axis=axis), indices

"""Resizing that Keras lacks: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class ResizeLike(layers.Layer):
    """Resize the axes between the batch and the channels to their sizes in another value."""

    def __init__(self, mode="nearest", align_corners=False, **kwargs):
        super().__init__(**kwargs)
        self.mode, self.align_corners = mode, align_corners

    def call(self, x, like):
        return resize(x, ops.shape(like)[1:-1], self.mode, self.align_corners)

    def compute_output_shape(self, x_shape, like_shape):
        return (x_shape[0], *like_shape[1:-1], x_shape[-1])

    def get_config(self):
        own = {"mode": self.mode, "align_corners": self.align_corners}
        return {**super().get_config(), **own}


def resize(x, size, mode="nearest", align_corners=False):
    """Resize the axes between the batch and the channels by PyTorch's rules.

    `mode` is nearest, nearest_exact, linear or cubic; the cubic kernel has a = -3/4.
    """
    for axis, new in enumerate(size, start=1):
        if isinstance(new, int) and new < 1:
            raise ValueError(f"cannot resize axis {axis} of shape {x.shape} to {new}")
        x = resize_axis(x, axis, new, mode, align_corners)
    return x


def resize_axis(x, axis, new, mode, align_corners):
    """Resize one axis: each output position is a weighted sum of nearby inputs."""
    double = keras.backend.standardize_dtype(x.dtype) == "float64"
    kind = "float64" if double else "float32"
    old = ops.shape(x)[axis]
    longer = ops.cast(old, kind) / ops.cast(new, kind)
    at = ops.arange(new, dtype=kind)
    if mode == "nearest":
        at = at * longer
    elif align_corners:
        at = at * ops.cast(old - 1, kind) / ops.maximum(ops.cast(new - 1, kind), 1)
    else:
        at = (at + 0.5) * longer - (0.5 if mode != "nearest_exact" else 0.0)
    first = ops.floor(at)
    t = at - first
    if mode == "linear":
        weights = {0: 1 - t, 1: t}
    elif mode == "cubic":
        near = [(1.25 * s - 2.25) * s * s + 1 for s in (t, 1 - t)]
        far = [((-0.75 * s + 3.75) * s - 6) * s + 3 for s in (t + 1, 2 - t)]
        weights = {-1: far[0], 0: near[0], 1: near[1], 2: far[1]}
    else:
        weights = {0: ops.ones_like(t)}
    shape = [1] * len(x.shape)
    shape[axis] = -1
    total = 0.0
    for step, weight in weights.items():
        places = ops.clip(ops.cast(first, "int32") + step, 0, old - 1)
        if isinstance(x, keras.KerasTensor):  # they are read in NumPy: not on a GPU
            places = ops.convert_to_numpy(places)
        weight = ops.cast(ops.reshape(weight, shape), x.dtype)
        total = total + ops.take(x, places, axis=axis) * weight
    return total


def pixel_shuffle(x, factor):
    """Move channels into pixels: (B, H, W, C * r * r) becomes (B, H * r, W * r, C)."""
    _, height, width, channels = ops.shape(x)
    channels = channels // factor**2
    x = ops.reshape(x, (-1, height, width, channels, factor, factor))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, height * factor, width * factor, channels))


def pixel_unshuffle(x, factor):
    """Places become channels: (B, H * r, W * r, C) becomes (B, H, W, C * r * r)."""
    if any(size is not None and size % factor for size in x.shape[1:3]):
        raise ValueError(f"cannot split {x.shape[1]} x {x.shape[2]} by {factor}")
    _, height, width, channels = ops.shape(x)
    height, width = height // factor, width // factor
    x = ops.reshape(x, (-1, height, factor, width, factor, channels))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
    return ops.reshape(x, (-1, height, width, channels * factor**2))

"""What Keras lacks: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


class PadsInput:
    """Mixin for a layer that pads its input by a number, or by one or (before, after) for each axis."""

    takes_max = False

    def __init__(self, *args, padding=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.pads = padding

    def sides(self):
        pads = self.pads
        if isinstance(pads, int):
            pads = [pads] * len(self.strides)
        pads = [(p, p) if isinstance(p, int) else tuple(p) for p in pads]
        return [(0, 0), *pads, (0, 0)]

    def call(self, x):
        edge = -float("inf") if self.takes_max else 0.0
        return super().call(ops.pad(x, self.sides(), constant_values=edge))

    def compute_output_shape(self, input_shape):
        grown = tuple(n and n + sum(side) for n, side in zip(input_shape, self.sides()))
        return super().compute_output_shape(grown)

    def get_config(self):
        return {**super().get_config(), "padding": self.pads}


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedConv1D(PadsInput, layers.Conv1D):
    """Conv1D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedConv2D(PadsInput, layers.Conv2D):
    """Conv2D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedConv3D(PadsInput, layers.Conv3D):
    """Conv3D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedDepthwiseConv1D(PadsInput, layers.DepthwiseConv1D):
    """DepthwiseConv1D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedDepthwiseConv2D(PadsInput, layers.DepthwiseConv2D):
    """DepthwiseConv2D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedMaxPooling1D(PadsInput, layers.MaxPooling1D):
    """MaxPooling1D with its padding written out."""

    takes_max = True


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedMaxPooling2D(PadsInput, layers.MaxPooling2D):
    """MaxPooling2D with its padding written out."""

    takes_max = True


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedMaxPooling3D(PadsInput, layers.MaxPooling3D):
    """MaxPooling3D with its padding written out."""

    takes_max = True


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedAveragePooling1D(PadsInput, layers.AveragePooling1D):
    """AveragePooling1D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedAveragePooling2D(PadsInput, layers.AveragePooling2D):
    """AveragePooling2D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class PaddedAveragePooling3D(PadsInput, layers.AveragePooling3D):
    """AveragePooling3D with its padding written out."""


class CountedMean(PadsInput):
    """Mixin for a mean in which padding counts only with `count_include_pad`, and what lies beyond it never does.

    With `ceil_mode`, the last window may extend past the end, if it begins inside the padded input.
    """

    def __init__(self, *args, ceil_mode=False, count_include_pad=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def sides(self):
        sides = super().sides()
        if not self.ceil_mode:
            return sides
        windows = zip(sides[1:-1], self.pool_size, self.strides)
        pads = [(a, min(b + s, k) - 1) for (a, b), k, s in windows]
        return [(0, 0), *pads, (0, 0)]

    def call(self, x):
        counts, sides = ops.ones_like(x[:1, ..., :1]), self.sides()
        if self.count_include_pad:
            written = super().sides()
            counts = ops.pad(counts, written, constant_values=1.0)
            sides = [(0, whole - part) for (_, part), (_, whole) in zip(written, sides)]
        counts = ops.pad(counts, sides)
        return super().call(x) / ops.average_pool(counts, self.pool_size, self.strides)

    def get_config(self):
        own = {"ceil_mode": self.ceil_mode, "count_include_pad": self.count_include_pad}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="specbuild")
class CountedAveragePooling1D(CountedMean, layers.AveragePooling1D):
    """AveragePooling1D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class CountedAveragePooling2D(CountedMean, layers.AveragePooling2D):
    """AveragePooling2D with its padding written out."""


@keras.saving.register_keras_serializable(package="specbuild")
class CountedAveragePooling3D(CountedMean, layers.AveragePooling3D):
    """AveragePooling3D with its padding written out."""


class SameAveragePool:
    """Mixin for padding as TensorFlow does it: on PyTorch, Keras includes uneven padding in the mean."""

    def call(self, x):
        if keras.backend.backend() != "torch":
            return super().call(x)
        pads = [(0, 0)]
        for n, k, s in zip(x.shape[1:-1], self.pool_size, self.strides):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads.append((total // 2, total - total // 2))
        pads.append((0, 0))
        mean, share = (
            ops.average_pool(ops.pad(part, pads), self.pool_size, self.strides)
            for part in (x, ops.ones_like(x[:1, ..., :1]))
        )
        return mean / share


@keras.saving.register_keras_serializable(package="specbuild")
class SameAveragePooling1D(SameAveragePool, layers.AveragePooling1D):
    """AveragePooling1D in which padding never counts."""


@keras.saving.register_keras_serializable(package="specbuild")
class SameAveragePooling2D(SameAveragePool, layers.AveragePooling2D):
    """AveragePooling2D in which padding never counts."""


@keras.saving.register_keras_serializable(package="specbuild")
class SameAveragePooling3D(SameAveragePool, layers.AveragePooling3D):
    """AveragePooling3D in which padding never counts."""


def pad_places(x, sides, mode):
    """Pad each axis after the batch; `mode`: reflect, replicate or circular."""
    for axis, (before, after) in enumerate(sides, start=1):
        if mode != "replicate":
            require_length(x, axis, max(before, after) + (mode == "reflect"))
        at = (slice(None),) * axis
        parts = [x]
        if before and mode == "circular":
            parts.insert(0, x[(*at, slice(-before, None))])
        elif before and mode == "reflect":
            parts.insert(0, ops.flip(x[(*at, slice(1, before + 1))], axis))
        elif before:
            parts.insert(0, ops.repeat(x[(*at, slice(1))], before, axis))
        if after and mode == "circular":
            parts.append(x[(*at, slice(after))])
        elif after and mode == "reflect":
            parts.append(ops.flip(x[(*at, slice(-after - 1, -1))], axis))
        elif after:
            parts.append(ops.repeat(x[(*at, slice(-1, None))], after, axis))
        x = ops.concatenate(parts, axis=axis)
    return x


def require_length(x, axis, least):
    """Raise ValueError for an axis that is too short: a slice of it would be shorter, too, or empty."""
    size = x.shape[axis]
    if isinstance(size, int) and isinstance(least, int) and size < least:
        raise ValueError(
            f"axis {axis} must have at least {least} positions, got shape {x.shape}"
        )


def window_points(x, kernel, strides, dilation):
    """For each point of a window, row by row: what it sees as the window slides."""
    seen = [x]
    for axis, (k, s, d) in enumerate(zip(kernel, strides, dilation), start=1):
        require_length(x, axis, (k - 1) * d + 1)
        at = (slice(None),) * axis
        steps = [slice(i * d, (i - k + 1) * d or None, s) for i in range(k)]
        seen = [view[(*at, step)] for view in seen for step in steps]
    return seen


def unfold(x, kernel, strides, padding, dilation):
    """The elements of each sliding window: (B, places ..., points, C)."""
    pads = [(p, p) if isinstance(p, int) else p for p in padding]
    x = ops.pad(x, [(0, 0), *pads, (0, 0)])
    return ops.stack(window_points(x, kernel, strides, dilation), axis=-2)


def dilated_max_pool(x, kernel, strides, padding, dilation):
    """Max pooling with a dilated window."""
    sides = [(0, 0), *padding, (0, 0)]
    x = ops.pad(x, sides, constant_values=-float("inf"))
    first, *rest = window_points(x, kernel, strides, dilation)
    for points in rest:
        first = ops.maximum(first, points)
    return first


def adaptive_pool(x, size, reduce):
    """Reduce each axis between the batch and the channels to `size` even windows."""
    for axis, count in enumerate(size, start=1):
        length = ops.shape(x)[axis]
        windows = []
        for i in range(count):
            window = slice(i * length // count, -(-(i + 1) * length // count))
            seen = x[(slice(None),) * axis + (window,)]
            windows.append(reduce(seen, axis=axis, keepdims=True))
        x = ops.concatenate(windows, axis=axis)
    return x


def fold(x, kernel, strides, padding, dilation, size=None):
    """Sum overlapping windows at their positions; x is (B, windows ..., points, C)."""
    for axis, s in enumerate(strides, start=1):
        if s > 1:
            shape = list(ops.shape(x))
            shape[0], shape[axis] = -1, shape[axis] * s
            x = ops.expand_dims(x, axis + 1)
            pads = [(0, 0)] * len(x.shape)
            pads[axis + 1] = (0, s - 1)
            x = ops.reshape(ops.pad(x, pads), shape)
    reach = [d * (k - 1) for k, d in zip(kernel, dilation)]
    offsets = [()]
    for k, d in zip(kernel, dilation):
        offsets = [(*offset, i * d) for offset in offsets for i in range(k)]
    total = 0.0
    for point, offset in enumerate(offsets):
        pads = [(o, r - o) for o, r in zip(offset, reach)]
        total = total + ops.pad(x[..., point, :], [(0, 0), *pads, (0, 0)])
    if size is None:
        ends = [1 - s - cut or None for s, cut in zip(strides, padding)]
    else:
        ends = [cut + n for n, cut in zip(size, padding)]
    return total[(slice(None), *map(slice, padding, ends))]


def repeat_for_batch(x, like):
    """Repeat a value without a batch for each sample of `like`, whose number may be unknown."""
    first = like[(slice(None), *[0] * (len(like.shape) - 1))]
    every = ops.reshape(ops.ones_like(first, dtype="bool"), (-1, *[1] * len(x.shape)))
    x = ops.cast(x, x.dtype)  # a variable becomes a tensor
    return ops.where(every, x, x)


def stack_layers(members, dtype, name):
    """`keras.Sequential` with a dtype of its own: Keras gives it the global one."""
    row = keras.Sequential(members, name=name)
    row.dtype_policy = dtype
    return row

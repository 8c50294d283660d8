"""Numbers computed from sizes, which may be tensors: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


def float_size(size):
    """A size as a float: sizes that are known only at run time are tensors."""
    return (
        float(size) if isinstance(size, int) else ops.cast(size, keras.config.floatx())
    )


def size_value(number, dtype):
    """A number from sizes, to compute with: one that is known only at run time is a tensor."""
    return number if isinstance(number, (int, float)) else ops.cast(number, dtype)


def double_size(size):
    """A size in double precision: sizes that are known only at run time are tensors."""
    return float(size) if isinstance(size, int) else ops.cast(size, "float64")


def truncate_size(number):
    """A size without its fraction."""
    return int(number) if isinstance(number, float) else ops.cast(number, "int32")


def round_size(number):
    """The nearest size; of two that are equally near, the even one."""
    if isinstance(number, float):
        return round(number)
    return ops.cast(ops.round(number), "int32")


def choose_size(condition, a, b):
    """`a` if the condition is true, else `b`: a condition on sizes may be a tensor."""
    if isinstance(condition, bool):
        return a if condition else b
    chosen = ops.where(condition, a, b)
    # sizes are int32, Python integers int64 where Keras computes in float64
    both_known = isinstance(a, int) and isinstance(b, int)
    return ops.cast(chosen, "int32") if both_known else chosen


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


def check_same(x, dim, other, other_dim, name):
    """Raise ValueError for sizes that are known and differ: a framework would repeat a size of 1."""
    size, expected = x.shape[dim], other.shape[other_dim]
    if None not in (size, expected) and size != expected:
        raise ValueError(f"{name} must be {expected}, got {size}")


def match_size(x, axis, other, other_axis, name):
    """`x`, whose axis must be as long as an axis of another value; a size of None is compared at each call."""
    size, expected = x.shape[axis], other.shape[other_axis]
    if None in (size, expected):
        return SameSize(axis, other_axis, name)(x, other)
    if size != expected:
        raise ValueError(f"{name} must be {expected}, got {size}")
    return x


@keras.saving.register_keras_serializable(package="specbuild")
class SameSize(layers.Layer):
    """Compares sizes when the model runs: a framework would repeat a size of 1."""

    def __init__(self, axis, other_axis, label, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.axis, self.other_axis, self.label = axis, other_axis, label

    def call(self, x, other):
        shape, starts = list(ops.shape(x)), [0] * len(x.shape)
        size, expected = shape[self.axis], ops.shape(other)[self.other_axis]
        if isinstance(size, int) and isinstance(expected, int):
            if size != expected:
                raise ValueError(f"{self.label} must be {expected}, got {size}")
            return x
        # sizes that are tensors: a slice with another start or length is an error of the framework
        starts[self.axis], shape[self.axis] = expected - size, expected
        return ops.slice(x, starts, shape)

    def compute_output_spec(self, x, other):
        return keras.KerasTensor(x.shape, dtype=x.dtype)  # a mask stays a mask

    def get_config(self):
        config = {"axis": self.axis, "other_axis": self.other_axis, "label": self.label}
        return {**super().get_config(), **config}


def check_multiple(x, dim, number, name):
    """Raise ValueError for a size that cannot be divided: a reshape would mix samples."""
    if x.shape[dim] is not None and x.shape[dim] % number:
        raise ValueError(f"{name} must be a multiple of {number}, got {x.shape[dim]}")


def check_least(x, dim, size, name):
    """Raise ValueError for a size with which nothing would be left."""
    if x.shape[dim] is not None and x.shape[dim] < size:
        raise ValueError(f"{name} must be at least {size}, got {x.shape[dim]}")


def match_least(x, axis, size, name):
    """`x`, whose axis must be this long; a size of None is compared at each call."""
    if x.shape[axis] is None:
        return LeastSize(axis, size, name)(x)
    check_least(x, axis, size, name)
    return x


@keras.saving.register_keras_serializable(package="specbuild")
class LeastSize(layers.Layer):
    """Compares a size with a number when the model runs: nothing would be left of a shorter axis."""

    def __init__(self, axis, size, label, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.axis, self.size, self.label = axis, size, label

    def call(self, x):
        shape, starts = list(ops.shape(x)), [0] * len(x.shape)
        size = shape[self.axis]
        if isinstance(size, int):
            check_least(x, self.axis, self.size, self.label)
            return x
        # a size that is a tensor: a slice that starts before the first position is an error of the framework
        starts[self.axis] = ops.minimum(size - self.size, 0)
        return ops.slice(x, starts, shape)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=x.dtype)  # a mask stays a mask

    def get_config(self):
        config = {"axis": self.axis, "size": self.size, "label": self.label}
        return {**super().get_config(), **config}


def require_size(x, axis, size):
    """`x`, whose axis must have this size: a reshape of another one would mix samples."""
    if isinstance(size, int) and x.shape[axis] != size:
        raise ValueError(f"axis {axis} must have size {size}, got shape {x.shape}")
    return x


def require_multiple(x, axis, number):
    """`x`, whose axis must be divisible: a reshape of another one would mix samples."""
    size = x.shape[axis]
    if isinstance(size, int) and isinstance(number, int) and size % number:
        raise ValueError(
            f"the size of axis {axis} must be a multiple of {number}, got shape {x.shape}"
        )
    return x


def split_at(x, ends, axis):
    """The parts of `x` along an axis up to each end, and the rest: TensorFlow's split needs a fixed size."""
    parts = []
    for start, end in zip((0, *ends), (*ends, None)):
        places = [slice(None)] * len(x.shape)
        places[axis] = slice(start, end)
        parts.append(x[tuple(places)])
    return parts

"""Initializers that Keras lacks: helpers copied into an emitted file that uses them."""

import keras
from keras import ops


def kaiming_normal(mode="fan_in"):
    """He's initializer with a whole normal distribution, as in PyTorch: `he_normal` cuts its tails."""
    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")


@keras.saving.register_keras_serializable(package="specbuild")
class OutputsFirst(keras.initializers.Initializer):
    """The values of another initializer, for a weight whose first axis counts the outputs, not its last."""

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        return ops.transpose(self.initializer(tuple(shape)[::-1], dtype=dtype))

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="specbuild")
class ChannelsApart(keras.initializers.Initializer):
    """The values of another initializer, for a depthwise kernel: each output has one input channel."""

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        *window, channels, multiplier = shape
        values = self.initializer((*window, 1, channels * multiplier), dtype=dtype)
        return ops.reshape(values, shape)

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="specbuild")
class Unfilled(keras.initializers.Initializer):
    """A table whose numbers come with the weights: before they are loaded, it has no numbers that one could use."""

    def __call__(self, shape, dtype=None):
        is_integer = "int" in keras.backend.standardize_dtype(dtype)
        return ops.full(shape, -(2**31) if is_integer else float("nan"), dtype=dtype)

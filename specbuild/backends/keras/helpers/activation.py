"""Activations that Keras has no layer for: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class GELU(layers.Layer):
    """GELU as a layer, exact or in its tanh form."""

    def __init__(self, approximate=False, **kwargs):
        super().__init__(**kwargs)
        self.approximate = approximate

    def call(self, x):
        return ops.gelu(x, approximate=self.approximate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "approximate": self.approximate}


def gate_halves(x, axis):
    """The first half of an axis times the sigmoid of the second: `ops.glu` needs a fixed size."""
    values, gates = ops.split(x, 2, axis=axis)
    return values * ops.sigmoid(gates)

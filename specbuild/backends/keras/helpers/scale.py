"""Scaling in Keras; copied into emitted files that need it."""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="specbuild")
class Scale(layers.Layer):
    """Multiply by a number: Keras would treat a product of symbolic values as sparse."""

    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x):
        return x * self.by

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "by": self.by}

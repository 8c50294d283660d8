"""What Keras lacks for weights without a layer: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class Table(layers.Layer):
    """A table for layers to read; the value that it is called on only puts it into the model."""

    def __init__(self, value, **kwargs):
        super().__init__(**kwargs)
        self.value = ops.convert_to_numpy(ops.convert_to_tensor(value))

    def call(self, x):
        return ops.convert_to_tensor(self.value)

    def compute_output_spec(self, x):
        return keras.KerasTensor(self.value.shape, self.value.dtype.name)

    def get_config(self):
        return {**super().get_config(), "value": self.value.tolist()}


@keras.saving.register_keras_serializable(package="specbuild")
class Weight(layers.Layer):
    """A tensor by itself; the value that it is called on only puts it into the model."""

    def __init__(self, shape, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.value = self.add_weight(self.shape, self.initializer, name="value")

    def call(self, x):
        return ops.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape):
        return self.shape

    def get_config(self):
        return {
            **super().get_config(),
            "shape": self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="specbuild")
class StoredTable(Weight):
    """A table whose numbers come with the weights. It is never trained."""

    def build(self, input_shape):
        self.value = self.add_weight(
            self.shape, self.initializer, trainable=False, name="value"
        )

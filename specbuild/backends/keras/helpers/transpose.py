"""Transposed convolution that Keras lacks: a helper copied into an emitted file that uses it."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class GroupedConvTranspose(layers.Layer):
    """Transposed convolution over one to three axes, in groups and with dilation.

    It is a convolution, with the kernel flipped, over the input with zeros inserted
    between its positions. `padding` is cut off: a number, or for each axis a number or
    (before, after).
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding=0,
        output_padding=0,
        dilation_rate=1,
        groups=1,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.output_padding = output_padding
        self.dilation_rate = dilation_rate
        self.groups = groups
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def windows(self, axes):
        """For each axis: stride, dilation, zeros before and after the input."""
        attributes = (
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.output_padding,
            self.padding,
        )
        spread = [[v] * axes if isinstance(v, int) else v for v in attributes]
        found = []
        for k, s, d, more, cut in zip(*spread):
            before, after = (cut, cut) if isinstance(cut, int) else cut
            reach = d * (k - 1)
            found.append((s, d, reach - before, reach - after + more))
        return found

    def build(self, input_shape):
        axes = len(input_shape) - 2
        size = self.kernel_size
        size = (size,) * axes if isinstance(size, int) else tuple(size)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*size, self.filters // self.groups, input_shape[-1]),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer
            )

    def call(self, x):
        axes = len(x.shape) - 2
        windows = self.windows(axes)
        for axis, (s, _, before, after) in enumerate(windows, start=1):
            shape = list(ops.shape(x))
            shape[0], shape[axis] = -1, shape[axis] * s
            x = ops.expand_dims(x, axis + 1)
            pads = [(0, 0)] * len(x.shape)
            pads[axis + 1] = (0, s - 1)
            x = ops.reshape(ops.pad(x, pads), shape)
            x = x[(slice(None),) * axis + (slice(1 - s or None),)]
            pads = [(0, 0)] * len(x.shape)
            pads[axis] = (before, after)
            x = ops.pad(x, pads)
        x = ops.conv(x, self.turned(axes), dilation_rate=[d for _, d, _, _ in windows])
        return x if self.bias is None else x + self.bias

    def turned(self, axes):
        """The kernel of the convolution: turned around, its channels in and out."""
        kernel = ops.flip(self.kernel, tuple(range(axes)))
        *size, out, into = kernel.shape
        each = into // self.groups
        kernel = ops.reshape(kernel, (*size, out, self.groups, each))
        kernel = ops.swapaxes(kernel, -1, -3)
        return ops.reshape(kernel, (*size, each, self.filters))

    def compute_output_shape(self, input_shape):
        axes = len(input_shape) - 2
        size = self.kernel_size
        size = (size,) * axes if isinstance(size, int) else size
        grown = [
            n and (n - 1) * s + 1 + before + after - d * (k - 1)
            for n, k, (s, d, before, after) in zip(
                input_shape[1:-1], size, self.windows(axes)
            )
        ]
        return (input_shape[0], *grown, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

"""What Keras lacks: helpers copied into an emitted file that uses them."""

from keras import layers, ops


class PadsItself:
    """Mixin for a layer whose window slides over an input padded as written out."""

    fill = None

    def __init__(self, size, kernel_size, padding=0, mode="zeros", **kwargs):
        super().__init__(size, kernel_size, **kwargs)
        self.pad, self.mode = padding, mode

    def sides(self):
        """(before, after) for each axis that the window slides over."""
        pads = [self.pad] * self.rank if isinstance(self.pad, int) else self.pad
        return [(p, p) if isinstance(p, int) else tuple(p) for p in pads]

    def padded_shape(self, shape):
        places = [
            n if n is None else n + sum(side)
            for n, side in zip(shape[1:-1], self.sides())
        ]
        return (shape[0], *places, shape[-1])

    def build(self, input_shape):
        super().build(self.padded_shape(input_shape))

    def call(self, x):
        return super().call(ops.pad(x, [(0, 0), *self.sides(), (0, 0)]))

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(self.padded_shape(input_shape))

    def get_config(self):
        return {**super().get_config(), "padding": self.pad, "mode": self.mode}


class PaddedConv1D(PadsItself, layers.Conv1D):
    """Conv1D with its padding written out."""


class PaddedConv2D(PadsItself, layers.Conv2D):
    """Conv2D with its padding written out, the same on both sides unless it says so."""


class PaddedConv3D(PadsItself, layers.Conv3D):
    """Conv3D with its padding written out."""


class PaddedMaxPooling2D(layers.MaxPooling2D):
    """MaxPooling2D with its padding written out; what is padded never wins."""

    def __init__(self, pool_size, padding, **kwargs):
        super().__init__(pool_size, **kwargs)
        self.pad = padding

    def call(self, x):
        p = (self.pad, self.pad)
        return super().call(ops.pad(x, ((0, 0), p, p, (0, 0)), constant_values=-float("inf")))

    def compute_output_shape(self, input_shape):
        b, h, w, c = input_shape
        p = 2 * self.pad
        return super().compute_output_shape((b, h + p, w + p, c))

    def get_config(self):
        return {**super().get_config(), "padding": self.pad}

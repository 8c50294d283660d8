"""Integers as floats in Keras; copied into emitted files that need it."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class ToFloat(layers.Layer):
    """Floats in the dtype that layers compute in."""

    def call(self, x):
        return ops.cast(x, self.compute_dtype)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="specbuild")
class OneHot(layers.Layer):
    """One-hot codes in the dtype that layers compute in: in mixed precision, not that of `ops.one_hot`."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, x):
        return ops.one_hot(x, self.count, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable(package="specbuild")
class SegmentReduce(layers.Layer):
    """Reduce the positions of the index's last axis that have the same index.

    `reduce` is sum, mean or max. A segment without any position is 0.
    """

    def __init__(self, count, reduce="sum", **kwargs):
        super().__init__(**kwargs)
        self.count, self.reduce = count, reduce

    def call(self, x, index):
        rest = ops.shape(x)[len(index.shape) :]
        rows = ops.reshape(index, (-1, index.shape[-1]))
        samples = ops.shape(rows)[0]
        rows = rows + self.count * ops.arange(samples, dtype=rows.dtype)[:, None]
        ids, total = ops.reshape(rows, (-1,)), samples * self.count
        values = ops.reshape(x, (-1, *rest))
        counts = ops.segment_sum(ops.ones_like(values), ids, total)
        if self.reduce == "max":
            found = ops.where(counts > 0, ops.segment_max(values, ids, total), 0.0)
        else:
            found = ops.segment_sum(values, ids, total)
        if self.reduce == "mean":
            found = found / ops.maximum(counts, 1)
        return ops.reshape(found, (-1, *ops.shape(index)[1:-1], self.count, *rest))

    def get_config(self):
        return {**super().get_config(), "count": self.count, "reduce": self.reduce}

"""Learned tensors and tables in Keras."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import External
from specbuild.backends.keras.base import backend, emits
from specbuild.backends.keras.init import initializer
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Result, Stored
from specbuild.emit.made import SELF
from specbuild.ops.table import Weight

WEIGHT = External("self.add_weight(shape=None, initializer=None, dtype=None, trainable=True)")


@emits(Weight)
def weight(op: Weight, out: Tensor) -> Result:
    order = backend.natural(out)
    make = WEIGHT.made(
        shape=tuple(out[a] for a in order), initializer=initializer(op.init, "zeros"), trainable=op.trained
    )
    held = tuple(out.axes.index(a) for a in order)
    return Result(SELF, Layout(order, (), False), make, weights={"value": Stored("", held)})

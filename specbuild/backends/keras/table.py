"""Learned tensors and tables in Keras."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.keras.base import backend, emits
from specbuild.backends.keras.init import initializer
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Result, Stored
from specbuild.emit.made import SELF, Argument, Construct, literal
from specbuild.ops.table import Weight


@emits(Weight)
def weight(op: Weight, out: Tensor) -> Result:
    order = backend.natural(out)
    shape = Argument("shape", literal(tuple(out[a] for a in order)), None)
    begin = Argument("initializer", initializer(op.init, "zeros"), None)
    held = tuple(out.axes.index(a) for a in order)
    make = Construct("self.add_weight", (shape, begin))
    return Result(SELF, Layout(order, (), False), make, weights={"value": Stored("", held)})

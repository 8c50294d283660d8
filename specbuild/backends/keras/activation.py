"""Activations in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.axes import Tensor
from specbuild.backends.backend import External, inline
from specbuild.backends.keras.base import emits
from specbuild.emit.lower import Operand, Result
from specbuild.emit.made import Construct
from specbuild.ops.activation import Gelu, Relu, Sigmoid, Softmax

ACTIVATION = External("layers.Activation(activation)")
SOFTMAX = External("ops.softmax(x, axis=-1)"), External("layers.Softmax(axis=-1)")


@emits(Relu)
def relu(op: Relu, x: Operand, out: Tensor) -> Result:
    return elementwise(x, "ops.relu(x)", External("layers.ReLU()").made())


@emits(Sigmoid)
def sigmoid(op: Sigmoid, x: Operand, out: Tensor) -> Result:
    return elementwise(x, "ops.sigmoid(x)", ACTIVATION.made("sigmoid"))


@emits(Gelu)
def gelu(op: Gelu, x: Operand, out: Tensor) -> Result:
    tanh = op.approximate == "tanh"
    return elementwise(x, "ops.gelu(x, approximate=True)", None if tanh else ACTIVATION.made("gelu"), approximate=tanh)


def elementwise(x: Operand, function: str, module: Construct | None, **attributes: Any) -> Result:
    return inline(External(function)(x.expr, **attributes), x.layout, module)


@emits(Softmax)
def softmax(op: Softmax, x: Operand, out: Tensor) -> Result:
    function, module = SOFTMAX
    here = x.unfolded() if any(a in x.layout.folded for a in op.over) else x
    dims = tuple(-1 if d == here.layout.rank - 1 else d for d in here.dims(op.over))
    axis: Any = dims[0] if len(dims) == 1 else here.dims(op.over)
    return inline(function(here.expr, axis=axis), here.layout, module.made(axis=axis))



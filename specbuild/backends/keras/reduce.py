"""Reductions in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.axes import Tensor
from specbuild.backends.backend import inline
from specbuild.backends.keras.base import call, emits
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Operand, Result
from specbuild.ops.reduce import Max, Mean, Reduction, Sum

FUNCTIONS: dict[type[Reduction], str] = {Mean: "ops.mean", Max: "ops.max", Sum: "ops.sum"}


@emits(*FUNCTIONS)
def reduction(op: Reduction, x: Operand, out: Tensor) -> Result:
    here = x.unfolded() if any(a in x.layout.folded for a in op.over) else x
    dims = here.dims(op.over)
    order = here.order if op.keep else tuple(a for a in here.order if a not in op.over)
    axis: Any = dims[0] if len(dims) == 1 else dims
    axis = -1 if axis == here.layout.rank - 1 else axis
    keep = {"keepdims": True} if op.keep else {}
    return inline(call(FUNCTIONS[type(op)], here.expr, axis=axis, **keep), Layout(order, here.layout.folded, here.layout.batched))

"""Reductions in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import inline
from specbuild.backends.torch.base import emits, method
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Operand, Result
from specbuild.ops.reduce import Max, Mean, Reduction, Sum

METHODS: dict[type[Reduction], str] = {Mean: "mean", Max: "amax", Sum: "sum"}


@emits(*METHODS)
def reduction(op: Reduction, x: Operand, out: Tensor) -> Result:
    here = x.unfolded() if any(a in x.layout.folded for a in op.over) else x
    dims = here.dims(op.over)
    keep = {"keepdim": True} if op.keep else {}
    order = here.order if op.keep else tuple(a for a in here.order if a not in op.over)
    call = method(here.expr, METHODS[type(op)], dims[0] if len(dims) == 1 else dims, **keep)
    return inline(call, Layout(order, here.layout.folded, here.layout.batched))

"""Contractions in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline
from specbuild.backends.contraction import equation, product
from specbuild.backends.keras.layout import backend, call, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops.contraction import Contract
from specbuild.ops.types import Tensor


@emits(Contract)
def contract(op: Contract, *xs: Operand, out: Tensor) -> Result:
    here = [x.unfolded() for x in xs]
    if found := product(here, op.over):
        sides = (
            call("ops.swapaxes", x.expr, -2, -1) if turned else x.expr
            for x, turned in zip(here, found.turned, strict=True)
        )
        return inline(call("ops.matmul", *sides), found.layout)
    layout = Layout(backend.natural(out), (), out.batched)
    letters = equation([x.layout for x in here], layout)
    return inline(call("ops.einsum", letters, *(x.expr for x in here)), layout)

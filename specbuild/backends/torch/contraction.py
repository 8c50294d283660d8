"""Contractions in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import inline
from specbuild.backends.contraction import equation, product
from specbuild.backends.torch.base import backend, emits, method
from specbuild.emit.code import Call, Infix, Literal, Name
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Operand, Result
from specbuild.ops.contraction import Contract


@emits(Contract)
def contract(op: Contract, *xs: Operand, out: Tensor) -> Result:
    here = [x.unfolded() for x in xs]
    if found := product(here, op.over):
        left, right = (
            method(x.expr, "transpose", -2, -1) if turned else x.expr
            for x, turned in zip(here, found.turned, strict=True)
        )
        return inline(Infix("@", left, right), found.layout)
    order = backend.natural(out)
    call = Call(Name("torch.einsum"), (Literal(equation(here, order, out.batched)), *(x.expr for x in here)))
    return inline(call, Layout(order, (), out.batched))

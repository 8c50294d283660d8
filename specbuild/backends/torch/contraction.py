"""Contractions in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import inline
from specbuild.backends.contraction import equation, product
from specbuild.backends.torch.base import backend, emits, method
from specbuild.emit.code import Call, Expr, Infix, Literal, Name
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
    layout = Layout(backend.natural(out), (), out.batched)
    call: Expr = here[0].expr
    lies = here[0].layout
    for at, x in enumerate(
        here[1:], 1
    ):  # two at a time: an optimised path over more would fix the batch size
        rest = here[at + 1 :]
        kept = [
            a
            for a in dict.fromkeys((*lies.order, *x.order))
            if a not in op.over or any(a in y.type for y in rest)
        ]
        result = Layout(tuple(kept), (), lies.batched or x.layout.batched) if rest else layout
        call = Call(Name("torch.einsum"), (Literal(equation((lies, x.layout), result)), call, x.expr))
        lies = result
    return inline(call, layout)

"""Contractions in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline
from specbuild.backends.contraction import equation, product
from specbuild.backends.torch.layout import backend, emits, method
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops.contraction import Contract
from specbuild.ops.types import Tensor


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

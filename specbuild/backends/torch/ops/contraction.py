"""Contractions in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.contraction import einsum_equation, match_matrix_product
from specbuild.backends.torch.layout import backend, call_method, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops.contraction import Contract
from specbuild.ops.types import TensorType


@emits(Contract)
def emit_contract(op: Contract, *xs: Operand, out: TensorType) -> LoweringResult:
    here = [x.unfold_axes() for x in xs]
    if found := match_matrix_product(here, op.over):
        left, right = (
            call_method(x.expr, "transpose", -2, -1) if turned else x.expr
            for x, turned in zip(here, found.transposed, strict=True)
        )
        return inline_result(Infix("@", left, right), found.layout)
    layout = Layout(backend.natural_order(out), (), out.batched)
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
        call = Call(Name("torch.einsum"), (Literal(einsum_equation((lies, x.layout), result)), call, x.expr))
        lies = result
    return inline_result(call, layout)

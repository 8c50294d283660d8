"""Contractions in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.contraction import einsum_equation, match_matrix_product
from specbuild.backends.keras.layout import backend, call_function, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.ops.contraction import Contract
from specbuild.ops.types import TensorType


@emits(Contract)
def emit_contract(op: Contract, *xs: Operand, out: TensorType) -> LoweringResult:
    here = [x.unfold_axes() for x in xs]
    if found := match_matrix_product(here, op.over):
        sides = (
            call_function("ops.swapaxes", x.expr, -2, -1) if turned else x.expr
            for x, turned in zip(here, found.transposed, strict=True)
        )
        return inline_result(call_function("ops.matmul", *sides), found.layout)
    layout = Layout(backend.natural_order(out), (), out.batched)
    letters = einsum_equation([x.layout for x in here], layout)
    return inline_result(call_function("ops.einsum", letters, *(x.expr for x in here)), layout)

"""Contractions in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.contraction import einsum_equation, match_matrix_product
from specbuild.backends.keras.framework import backend, call_function, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.contraction import Contract
from specbuild.ops.types import TensorType


@emits(Contract)
def emit_contract(op: Contract, *xs: Operand, out: TensorType) -> LoweringResult:
    xs = tuple(x.unfold_axes() for x in xs)
    if product := match_matrix_product(xs, op.over):
        sides = (
            call_function("ops.swapaxes", x.expr, -2, -1) if transposed else x.expr
            for x, transposed in zip(xs, product.transposed, strict=True)
        )
        return inline_result(call_function("ops.matmul", *sides), product.layout)
    layout = Layout(backend.natural_order(out), (), out.batched)
    equation = einsum_equation([x.layout for x in xs], layout)
    return inline_result(call_function("ops.einsum", equation, *(x.expr for x in xs)), layout)

"""Contractions in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.backends.base import inline_result
from specbuild.backends.contraction import einsum_equation, match_matrix_product
from specbuild.backends.torch.framework import backend, call_method, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops.contraction import Contract
from specbuild.ops.types import TensorType


@emits(Contract)
def emit_contract(op: Contract, *xs: Operand, out: TensorType) -> LoweringResult:
    xs = tuple(x.unfold_axes() for x in xs)
    if product := match_matrix_product(xs, op.over):
        left, right = (
            call_method(x.expr, "transpose", -2, -1) if transposed else x.expr
            for x, transposed in zip(xs, product.transposed, strict=True)
        )
        return inline_result(Infix("@", left, right), product.layout)
    code: Expr = xs[0].expr
    layout = xs[0].layout
    # two at a time: for more, PyTorch may choose an order that depends on the batch size
    for i, x in enumerate(xs[1:], 1):
        product_layout = partial_product(op, layout, x, xs[i + 1 :], out)
        equation = einsum_equation((layout, x.layout), product_layout)
        code = Call(Name("torch.einsum"), (Literal(equation), code, x.expr))
        layout = product_layout
    return inline_result(code, layout)


def partial_product(
    op: Contract, left: Layout, right: Operand, rest: Sequence[Operand], out: TensorType
) -> Layout:
    """Return the layout of a product of two values, with the axes that the result or the rest needs."""
    if not rest:
        return Layout(backend.natural_order(out), (), out.batched)
    axes = dict.fromkeys((*left.order, *right.order))
    order = tuple(a for a in axes if a not in op.over or any(a in x.type for x in rest))
    return Layout(order, (), left.batched or right.layout.batched)

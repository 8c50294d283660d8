"""Attention in Keras."""

from __future__ import annotations

from functools import partial

from specbuild.backends.align import broadcast_operand
from specbuild.backends.base import Signature
from specbuild.backends.indexing import insert_axes
from specbuild.backends.keras.layout import emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Expr
from specbuild.ops.attention import Attention
from specbuild.ops.types import TensorType

FUSED = Signature(
    "ops.dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False)"
)
MASKED = Signature("masked_attention(query, key, value, mask, bias=None, scale=None, is_causal=False)")
ATTEND = Signature("attend(query, key, value, bias=None, mask=None, scale=None, is_causal=False)")


@emits(Attention)
def emit_attention(
    op: Attention,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None,
    bias: Operand | None,
    out: TensorType,
) -> LoweringResult:
    others = tuple(a for a in query.unfold_axes().order if a not in (op.over, op.features))
    together = can_use_fused(op, query, key, value, others) and not (
        op.causal and bias is not None and mask is None
    )

    def operand_order(x: Operand) -> tuple[str, ...]:
        places = op.over if x is query else op.position_axis(x.type)
        return (places, *others, op.features) if together else (*others, places, op.features)

    q, k, v = (arrange_axes(x, operand_order(x), x.layout.batched) for x in (query, key, value))
    scores = (*others, op.over, op.keys)
    place = (
        partial(arrange_axes, order=scores, batched=out.batched)
        if together
        else partial(broadcast_operand, target=Layout(scores, (), out.batched))
    )
    added = None if bias is None else place(bias.unfold_axes())
    may = None if mask is None else place(mask.unfold_axes())
    layout = Layout(operand_order(query), (), out.batched)
    if together and may is not None:
        return LoweringResult(MASKED(q, k, v, may, bias=added, scale=op.scale, is_causal=op.causal), layout)
    function = FUSED if together else ATTEND
    return LoweringResult(
        function(q, k, v, bias=added, mask=may, scale=op.scale, is_causal=op.causal), layout
    )


def can_use_fused(
    op: Attention, query: Operand, key: Operand, value: Operand, others: tuple[str, ...]
) -> bool:
    """Whether Keras' own function computes just this on every runtime: heads, and nothing to broadcast."""
    if len(others) != 1 or not all(x.layout.batched for x in (query, key, value)):
        return False
    [heads] = others
    alike = all(heads in x.type and x[heads] == query[heads] for x in (key, value))
    return alike and key[op.features] == value[op.features]


def arrange_axes(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """An operand in this order, with a dimension of size 1 for what it lacks."""
    return insert_axes(x.unfold_axes().to_order(*(a for a in order if a in x.type)), order, batched)

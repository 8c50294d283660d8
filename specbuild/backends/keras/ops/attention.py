"""Attention in Keras."""

from __future__ import annotations

from functools import partial

from specbuild.backends.align import broadcast
from specbuild.backends.base import External
from specbuild.backends.indexing import widened
from specbuild.backends.keras.layout import emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Expr
from specbuild.ops.attention import Attention
from specbuild.ops.types import Tensor

FUSED = External(
    "ops.dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False)"
)
MASKED = External("masked_attention(query, key, value, mask, bias=None, scale=None, is_causal=False)")
ATTEND = External("attend(query, key, value, bias=None, mask=None, scale=None, is_causal=False)")


@emits(Attention)
def attention(
    op: Attention,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None,
    bias: Operand | None,
    out: Tensor,
) -> Result:
    others = tuple(a for a in query.unfolded().order if a not in (op.over, op.features))
    together = fused(op, query, key, value, others) and not (op.causal and bias is not None and mask is None)

    def order(x: Operand) -> tuple[str, ...]:
        places = op.over if x is query else op.positions(x.type)
        return (places, *others, op.features) if together else (*others, places, op.features)

    q, k, v = (laid(x, order(x), x.layout.batched) for x in (query, key, value))
    scores = (*others, op.over, op.keys)
    place = (
        partial(laid, order=scores, batched=out.batched)
        if together
        else partial(broadcast, target=Layout(scores, (), out.batched))
    )
    added = None if bias is None else place(bias.unfolded())
    may = None if mask is None else place(mask.unfolded())
    layout = Layout(order(query), (), out.batched)
    if together and may is not None:
        return Result(MASKED(q, k, v, may, bias=added, scale=op.scale, is_causal=op.causal), layout)
    function = FUSED if together else ATTEND
    return Result(function(q, k, v, bias=added, mask=may, scale=op.scale, is_causal=op.causal), layout)


def fused(op: Attention, query: Operand, key: Operand, value: Operand, others: tuple[str, ...]) -> bool:
    """Whether Keras' own function computes just this on every runtime: heads, and nothing to broadcast."""
    if len(others) != 1 or not all(x.layout.batched for x in (query, key, value)):
        return False
    [heads] = others
    alike = all(heads in x.type and x[heads] == query[heads] for x in (key, value))
    return alike and key[op.features] == value[op.features]


def laid(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """An operand in this order, with a dimension of size 1 for what it lacks."""
    return widened(x.unfolded().to(*(a for a in order if a in x.type)), order, batched)

"""Attention in Keras."""

from __future__ import annotations

from specbuild.backends.align import broadcast_operand
from specbuild.backends.base import is_fixed
from specbuild.backends.indexing import insert_axes
from specbuild.backends.keras.framework import emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr
from specbuild.expressions import symbolic_formula
from specbuild.ops.attention import Attention
from specbuild.ops.types import TensorType

FUSED = Signature(
    "ops.dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False)"
)
MASKED = Signature("masked_attention(query, key, value, mask, bias=None, scale=None, is_causal=False)")
ATTEND = Signature("attend(query, key, value, bias=None, scale=None)")
ATTEND_SOME = Signature("attend_some(query, key, value, bias=None, mask=None, scale=None, is_causal=False)")
DROPPED = Signature("DroppedAttention(rate)")
REPEAT = Signature("ops.repeat(x, repeats, axis=None)")


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
    mask, bias = (
        x.rename_axis(op.over, op.keys) if x is not None and op.means_keys(x.type, key.type) else x
        for x in (mask, bias)
    )
    others = tuple(a for a in query.unfold_axes().order if a not in (op.over, op.features))
    uses_fused = can_use_fused(op, query, key, value, others)
    if (op.causal and bias is not None and mask is None) or not is_fixed(op.dropout, 0):
        uses_fused = False

    def operand_order(x: Operand) -> tuple[str, ...]:
        position = op.over if x is query else op.position_axis(x.type)
        return (position, *others, op.features) if uses_fused else (*others, position, op.features)

    def arrange_scores(x: Operand) -> Expr:
        order = (*others, op.over, op.keys)
        if uses_fused:
            return arrange_axes(x, order, out.batched)
        return broadcast_operand(x, Layout(order, (), out.batched))

    q, k, v = (arrange_axes(x, operand_order(x), x.layout.batched) for x in (query, key, value))
    k, v = (repeat_groups(op, query, x, code, operand_order(x)) for x, code in ((key, k), (value, v)))
    summand = None if bias is None else arrange_scores(bias.unfold_axes())
    allowed = None if mask is None else arrange_scores(mask.unfold_axes())
    layout = Layout(operand_order(query), (), out.batched)
    arguments = {"bias": summand, "scale": op.scale, "is_causal": op.causal}
    if not is_fixed(op.dropout, 0):
        code = ATTEND_SOME.call(OWN_MEMBER, q, k, v, mask=allowed, **arguments)
        return LoweringResult(code, layout, DROPPED.construct(op.dropout))
    if uses_fused and allowed is not None:
        return LoweringResult(MASKED(q, k, v, allowed, **arguments), layout)
    if not uses_fused and allowed is None and not op.causal:
        return LoweringResult(ATTEND(q, k, v, bias=summand, scale=op.scale), layout)
    function = FUSED if uses_fused else ATTEND_SOME
    return LoweringResult(function(q, k, v, mask=allowed, **arguments), layout)


def can_use_fused(
    op: Attention, query: Operand, key: Operand, value: Operand, others: tuple[str, ...]
) -> bool:
    """Return whether Keras' attention function gives the right result on every runtime.

    It needs one axis of heads, the same in all operands, and keys and values of the same size.
    """
    if len(others) != 1 or not all(x.layout.batched for x in (query, key, value)):
        return False
    [heads] = others
    has_same_heads = all(
        heads in x.type and op.expand_groups(query.type, x.type)[heads] == query[heads] for x in (key, value)
    )
    return has_same_heads and key[op.features] == value[op.features]


def repeat_groups(op: Attention, query: Operand, x: Operand, code: Expr, order: tuple[str, ...]) -> Expr:
    """Return a key or value with as many positions of the axis `grouped` as the query."""
    axis = op.grouped
    if axis is None or axis not in x.type:
        return code
    times = symbolic_formula("whole // part", whole=query[axis], part=x[axis])
    return code if is_fixed(times, 1) else REPEAT(code, times, axis=order.index(axis) + x.layout.batched)


def arrange_axes(x: Operand, order: tuple[str, ...], batched: bool) -> Expr:
    """Return an operand in this order, with a dimension of size 1 for each missing axis or batch."""
    return insert_axes(x.unfold_axes().to_order(*(a for a in order if a in x.type)), order, batched)

"""Attention in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import broadcast_operand
from specbuild.backends.base import is_fixed
from specbuild.backends.indexing import insert_axes
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.backends.torch.ops.merge import repeat_for_batch
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Call, Conditional, Expr, Index, Infix, Literal, Name
from specbuild.ops.attention import Attention
from specbuild.ops.types import TensorType

SDPA = Signature(
    "F.scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False)"
)
FOLD = Signature(
    "fold_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False)"
)
MOST_AXES = 4  # of a tensor for which PyTorch has fused kernels
DROPOUT = Signature("nn.Dropout(p=0.5, inplace=False)")
# the step's member is a dropout layer, which has the rate
DROPOUT_NOW = Conditional(Attribute(OWN_MEMBER, "training"), Attribute(OWN_MEMBER, "p"), Literal(0.0))


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
    if op.grouped:
        others = (*(a for a in others if a != op.grouped), op.grouped)  # PyTorch expects it there
    q, k, v = (
        arrange_axes(x, (*others, op.over if x is query else op.position_axis(x.type), op.features))
        for x in (query, key, value)
    )
    if out.batched and not query.layout.batched:
        q = repeat_for_batch(
            query.to_order(*others, op.over, op.features),
            next(x for x in (key, value, mask, bias) if x and x.layout.batched),
        )
    scores = Layout((*others, op.over, op.keys), (), out.batched)
    allowed = None if mask is None else broadcast_mask(mask.unfold_axes(), scores)
    summand = None if bias is None else broadcast_mask(bias.unfold_axes(), scores)
    is_causal = op.causal and allowed is None and summand is None
    if op.causal and not is_causal:
        allowed = causal_mask(q, k) if allowed is None else Infix("&", allowed, causal_mask(q, k))
    if allowed is not None and summand is not None:
        allowed = Call(Name("torch.where"), (allowed, summand, Literal(-float("inf"))))
    attn_mask = summand if allowed is None else allowed
    dropped = not is_fixed(op.dropout, 0)
    function = FOLD if scores.rank > MOST_AXES else SDPA
    code = function(
        *(q, k, v),
        attn_mask=attn_mask,
        dropout_p=DROPOUT_NOW if dropped else 0.0,
        is_causal=is_causal,
        scale=op.scale,
        enable_gqa=op.grouped is not None,
    )
    member = DROPOUT.construct(p=op.dropout) if dropped else None
    return LoweringResult(code, Layout((*others, op.over, op.features), (), out.batched), member)


def broadcast_mask(x: Operand, scores: Layout) -> Expr:
    """Return a mask or bias in the layout of the scores.

    PyTorch needs the dimensions of queries and keys even if they have size 1; `fold_attention` adds them itself.
    """
    code = broadcast_operand(x, scores)
    if x.layout.batched or scores.rank > MOST_AXES or not {*x.order} <= {scores.order[-1]}:
        return code
    return Index(code, (Literal(None),) * (2 - len(x.order)))


def arrange_axes(x: Operand, order: tuple[str, ...]) -> Expr:
    """Return an operand in this order, with a dimension of size 1 for each missing axis."""
    return insert_axes(x.unfold_axes().to_order(*(a for a in order if a in x.type)), order, x.layout.batched)


def causal_mask(query: Expr, key: Expr) -> Expr:
    """Return a mask that is true where the key is not after the query."""
    lengths = (Index(Attribute(x, "shape"), (Literal(-2),)) for x in (query, key))
    ones = Call(
        Name("torch.ones"),
        tuple(lengths),
        (("dtype", Name("torch.bool")), ("device", Attribute(query, "device"))),
    )
    return call_method(ones, "tril")

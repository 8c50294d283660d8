"""Attention in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import broadcast
from specbuild.backends.base import External
from specbuild.backends.indexing import widened
from specbuild.backends.torch.layout import emits, method
from specbuild.backends.torch.ops.merge import expanded
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name
from specbuild.ops.attention import Attention
from specbuild.ops.types import Tensor

SDPA = External(
    "F.scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None)"
)


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
    q, k, v = (
        laid(x, (*others, op.over if x is query else op.positions(x.type), op.features))
        for x in (query, key, value)
    )
    if out.batched and not query.layout.batched:
        q = expanded(
            query.to(*others, op.over, op.features),
            next(x for x in (key, value, mask, bias) if x and x.layout.batched),
        )
    scores = Layout((*others, op.over, op.keys), (), out.batched)
    may = None if mask is None else masking(mask.unfolded(), scores)
    added = None if bias is None else masking(bias.unfolded(), scores)
    causal = op.causal and may is None and added is None
    if op.causal and not causal:
        may = behind(q, k) if may is None else Infix("&", may, behind(q, k))
    if may is not None and added is not None:
        may = Call(Name("torch.where"), (may, added, Literal(-float("inf"))))
    call = SDPA(q, k, v, attn_mask=added if may is None else may, is_causal=causal, scale=op.scale)
    return Result(call, Layout((*others, op.over, op.features), (), out.batched))


def masking(x: Operand, scores: Layout) -> Expr:
    """A mask or a bias as the scores lie; PyTorch wants the dimensions of queries and keys even of one for all."""
    expr, rank = broadcast(x, scores), x.layout.rank
    if x.layout.batched or not {*x.order} <= {scores.order[-1]}:
        return expr
    return Index(expr, (Literal(None),) * (2 - rank))


def laid(x: Operand, order: tuple[str, ...]) -> Expr:
    """An operand in this order, with a dimension of size 1 for each axis that it lacks."""
    return widened(x.unfolded().to(*(a for a in order if a in x.type)), order, x.layout.batched)


def behind(query: Expr, key: Expr) -> Expr:
    """True where a key does not come after the query."""
    lengths = (Index(Attribute(x, "shape"), (Literal(-2),)) for x in (query, key))
    ones = Call(
        Name("torch.ones"),
        tuple(lengths),
        (("dtype", Name("torch.bool")), ("device", Attribute(query, "device"))),
    )
    return method(ones, "tril")

"""Places and classes by number in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, layer_result
from specbuild.backends.indexing import index_axis, insert_axes
from specbuild.backends.torch.layout import call_method, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, Storage
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Name
from specbuild.ops.indexing import Embedding, Gather, OneHot
from specbuild.ops.types import CHANNEL, TensorType

EMBEDDING = Signature("nn.Embedding(num_embeddings, embedding_dim)")
ONE_HOT = Signature("F.one_hot(tensor, num_classes)")


@emits(Gather)
def emit_gather(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    if op.is_aligned(x.type, index.type):
        return emit_gather_along(op, x.unfold_axes(), index.unfold_axes(), out)
    here, where = unfold_axes(x, [op.over]), index.unfold_axes()
    if index.layout.batched:
        rest = tuple(a for a in x.order if a != op.over)
        return inline_result(
            Index(x.to_order(op.over, *rest).expr, (where.expr,)), Layout((*where.order, *rest))
        )
    at = here.order.index(op.over)
    order = (*here.order[:at], *where.order, *here.order[at + 1 :])
    return inline_result(
        index_axis(here, op.over, where.expr), Layout(order, here.layout.folded, here.layout.batched)
    )


def emit_gather_along(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    """An index that meets the value place by place, repeated along the axes that it lacks."""
    [own] = (a for a in index.order if a not in op.shared_axes(x.type, index.type))
    layout = Layout(tuple(own if a == op.over else a for a in x.order), (), out.batched)
    laid = index.to_order(*(a for a in layout.order if a in index.type))
    value, places = (
        insert_axes(x, x.order, out.batched),
        call_method(insert_axes(laid, layout.order, out.batched), "long"),
    )
    if out.batched and not x.layout.batched:
        count = Index(Attribute(index.expr, "shape"), (Literal(0),))
        value = call_method(value, "expand", count, *[-1] * len(x.order))
    batch = [(x if x.layout.batched else index).expr] if out.batched else []
    sizes: list[Expr] = [
        Literal(-1) if index.layout.batched else Index(Attribute(of, "shape"), (Literal(0),)) for of in batch
    ]
    sizes += [
        Literal(-1) if axis in index.type else Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        for axis in layout.order
    ]
    if any(size != Literal(-1) for size in sizes):
        places = call_method(places, "expand", *sizes)
    return inline_result(call_method(value, "gather", layout.dim(own), places), layout)


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    codes = ONE_HOT(call_method(x.expr, "long"), op.count)
    layout = Layout((*x.order, op.axis), x.layout.folded, x.layout.batched)
    return inline_result(call_method(codes, "to", Call(Name("torch.get_default_dtype"))), layout)


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    inits = (("weight", op.init),) if op.init else ()
    make = EMBEDDING.construct(op.count, op.features)
    return layer_result(make, x, (*x.order, CHANNEL), inits=inits, weights={"kernel": Storage("weight")})

"""Places and classes by number in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, inline, layer
from specbuild.backends.indexing import indexed, widened
from specbuild.backends.torch.layout import emits, method
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Stored
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Name
from specbuild.ops.indexing import Embedding, Gather, OneHot
from specbuild.ops.types import CHANNEL, Tensor

EMBEDDING = External("nn.Embedding(num_embeddings, embedding_dim)")
ONE_HOT = External("F.one_hot(tensor, num_classes)")


@emits(Gather)
def gather(op: Gather, x: Operand, index: Operand, out: Tensor) -> Result:
    if op.along(x.type, index.type):
        return gathered(op, x.unfolded(), index.unfolded(), out)
    here, where = unfolded(x, [op.over]), index.unfolded()
    if index.layout.batched:
        rest = tuple(a for a in x.order if a != op.over)
        return inline(Index(x.to(op.over, *rest).expr, (where.expr,)), Layout((*where.order, *rest)))
    at = here.order.index(op.over)
    order = (*here.order[:at], *where.order, *here.order[at + 1 :])
    return inline(indexed(here, op.over, where.expr), Layout(order, here.layout.folded, here.layout.batched))


def gathered(op: Gather, x: Operand, index: Operand, out: Tensor) -> Result:
    """An index that meets the value place by place, repeated along the axes that it lacks."""
    [own] = (a for a in index.order if a not in op.shared(x.type, index.type))
    layout = Layout(tuple(own if a == op.over else a for a in x.order), (), out.batched)
    laid = index.to(*(a for a in layout.order if a in index.type))
    value, places = widened(x, x.order, out.batched), method(widened(laid, layout.order, out.batched), "long")
    if out.batched and not x.layout.batched:
        count = Index(Attribute(index.expr, "shape"), (Literal(0),))
        value = method(value, "expand", count, *[-1] * len(x.order))
    batch = [(x if x.layout.batched else index).expr] if out.batched else []
    sizes: list[Expr] = [
        Literal(-1) if index.layout.batched else Index(Attribute(of, "shape"), (Literal(0),)) for of in batch
    ]
    sizes += [
        Literal(-1) if axis in index.type else Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        for axis in layout.order
    ]
    if any(size != Literal(-1) for size in sizes):
        places = method(places, "expand", *sizes)
    return inline(method(value, "gather", layout.dim(own), places), layout)


@emits(OneHot)
def one_hot(op: OneHot, x: Operand, out: Tensor) -> Result:
    codes = ONE_HOT(method(x.expr, "long"), op.count)
    layout = Layout((*x.order, op.axis), x.layout.folded, x.layout.batched)
    return inline(method(codes, "to", Call(Name("torch.get_default_dtype"))), layout)


@emits(Embedding)
def embedding(op: Embedding, x: Operand, out: Tensor) -> Result:
    inits = (("weight", op.init),) if op.init else ()
    make = EMBEDDING.made(op.count, op.features)
    return layer(make, x, (*x.order, CHANNEL), inits=inits, weights={"kernel": Stored("weight")})

"""Places and classes by number in PyTorch."""

from __future__ import annotations

from specbuild.axes import CHANNEL, Tensor
from specbuild.backends.align import unfolded
from specbuild.backends.backend import External, inline, layer
from specbuild.backends.places import indexed, widened
from specbuild.backends.torch.base import emits, method
from specbuild.emit.code import Call, Index, Name
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Operand, Result, Stored
from specbuild.ops.index import Embedding, Gather, OneHot

EMBEDDING = External("nn.Embedding(num_embeddings, embedding_dim)")
TAKE_ALONG = External("torch.take_along_dim(input, indices, dim)")
ONE_HOT = External("F.one_hot(input, num_classes)")


@emits(Gather)
def gather(op: Gather, x: Operand, index: Operand, out: Tensor) -> Result:
    here, where = unfolded(x, [op.over]), index.unfolded()
    if op.along(x.type, index.type):
        here = x.unfolded()
        [own] = (a for a in where.order if a not in op.shared(x.type, index.type))
        layout = Layout(tuple(own if a == op.over else a for a in here.order), (), out.batched)
        places = method(
            widened(where.to(*(a for a in layout.order if a in where.type)), layout.order, out.batched),
            "long",
        )
        return inline(TAKE_ALONG(widened(here, here.order, out.batched), places, layout.dim(own)), layout)
    if index.layout.batched:
        rest = tuple(a for a in x.order if a != op.over)
        return inline(Index(x.to(op.over, *rest).expr, (where.expr,)), Layout((*where.order, *rest)))
    at = here.order.index(op.over)
    order = (*here.order[:at], *where.order, *here.order[at + 1 :])
    return inline(indexed(here, op.over, where.expr), Layout(order, here.layout.folded, here.layout.batched))


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

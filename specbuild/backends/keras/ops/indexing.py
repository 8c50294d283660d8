"""Places and classes by number in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, inline, layer
from specbuild.backends.indexing import widened
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import emits
from specbuild.backends.keras.ops.arrange import axis_of
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Stored
from specbuild.ops.indexing import Embedding, Gather, OneHot
from specbuild.ops.types import CHANNEL, Tensor

EMBEDDING = External("layers.Embedding(input_dim, output_dim, embeddings_initializer='uniform')")
TAKE = External("ops.take(x, indices, axis=None)")
TAKE_ALONG = External("ops.take_along_axis(x, indices, axis=None)")
ONE_HOT = External("ops.one_hot(x, num_classes)")


@emits(Gather)
def gather(op: Gather, x: Operand, index: Operand, out: Tensor) -> Result:
    here, where = unfolded(x, [op.over]), index.unfolded()
    if op.along(x.type, index.type):
        here = x.unfolded()
        [own] = (a for a in where.order if a not in op.shared(x.type, index.type))
        layout = Layout(tuple(own if a == op.over else a for a in here.order), (), out.batched)
        places = widened(where.to(*(a for a in layout.order if a in where.type)), layout.order, out.batched)
        return inline(
            TAKE_ALONG(widened(here, here.order, out.batched), places, axis=axis_of(layout, own)), layout
        )
    axis = axis_of(here.layout, op.over)
    if index.layout.batched:
        here = x.to(op.over, *(a for a in x.order if a != op.over))
        axis = 0
    at = here.order.index(op.over)
    order = (*here.order[:at], *where.order, *here.order[at + 1 :])
    return inline(TAKE(here.expr, where.expr, axis=axis), Layout(order, here.layout.folded, out.batched))


@emits(OneHot)
def one_hot(op: OneHot, x: Operand, out: Tensor) -> Result:
    return inline(ONE_HOT(x.expr, op.count), Layout((*x.order, op.axis), x.layout.folded, x.layout.batched))


@emits(Embedding)
def embedding(op: Embedding, x: Operand, out: Tensor) -> Result:
    make = EMBEDDING.made(op.count, op.features, embeddings_initializer=initializer(op.init, "uniform"))
    return layer(make, x, (*x.order, CHANNEL), weights={"kernel": Stored("embeddings")})

"""Places and classes by number in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, layer_result
from specbuild.backends.indexing import insert_axes
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import emits
from specbuild.backends.keras.ops.arrange import axis_index
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, Storage
from specbuild.ops.indexing import Embedding, Gather, OneHot
from specbuild.ops.types import CHANNEL, TensorType

EMBEDDING = Signature("layers.Embedding(input_dim, output_dim, embeddings_initializer='uniform')")
TAKE = Signature("ops.take(x, indices, axis=None)")
TAKE_ALONG = Signature("ops.take_along_axis(x, indices, axis=None)")
ONE_HOT = Signature("ops.one_hot(x, num_classes)")


@emits(Gather)
def emit_gather(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    here, where = unfold_axes(x, [op.over]), index.unfold_axes()
    if op.is_aligned(x.type, index.type):
        here = x.unfold_axes()
        [own] = (a for a in where.order if a not in op.shared_axes(x.type, index.type))
        layout = Layout(tuple(own if a == op.over else a for a in here.order), (), out.batched)
        places = insert_axes(
            where.to_order(*(a for a in layout.order if a in where.type)), layout.order, out.batched
        )
        return inline_result(
            TAKE_ALONG(insert_axes(here, here.order, out.batched), places, axis=axis_index(layout, own)),
            layout,
        )
    axis = axis_index(here.layout, op.over)
    if index.layout.batched:
        here = x.to_order(op.over, *(a for a in x.order if a != op.over))
        axis = 0
    at = here.order.index(op.over)
    order = (*here.order[:at], *where.order, *here.order[at + 1 :])
    return inline_result(
        TAKE(here.expr, where.expr, axis=axis), Layout(order, here.layout.folded, out.batched)
    )


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(
        ONE_HOT(x.expr, op.count), Layout((*x.order, op.axis), x.layout.folded, x.layout.batched)
    )


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    make = EMBEDDING.construct(
        op.count, op.features, embeddings_initializer=emit_initializer(op.init, "uniform")
    )
    return layer_result(make, x, (*x.order, CHANNEL), weights={"kernel": Storage("embeddings")})

"""Gathering, embedding and one-hot encoding in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.indexing import axis_index, insert_axes
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import emits
from specbuild.backends.signatures import Signature
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
    unfolded, positions = unfold_axes(x, [op.over]), index.unfold_axes()
    if op.is_aligned(x.type, index.type):
        return emit_gather_along(op, x.unfold_axes(), positions, out)
    axis = axis_index(unfolded.layout, op.over)
    if index.layout.batched:
        unfolded = x.to_order(op.over, *(a for a in x.order if a != op.over))
        axis = 0
    i = unfolded.order.index(op.over)
    order = (*unfolded.order[:i], *positions.order, *unfolded.order[i + 1 :])
    code = TAKE(unfolded.expr, positions.expr, axis=axis)
    return inline_result(code, Layout(order, unfolded.layout.folded, out.batched))


def emit_gather_along(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    """Return `ops.take_along_axis`, for an index that has axes in common with the value."""
    [new_axis] = (a for a in index.order if a not in op.shared_axes(x.type, index.type))
    layout = Layout(tuple(new_axis if a == op.over else a for a in x.order), (), out.batched)
    arranged = index.to_order(*(a for a in layout.order if a in index.type))
    positions = insert_axes(arranged, layout.order, out.batched)
    value = insert_axes(x, x.order, out.batched)
    return inline_result(TAKE_ALONG(value, positions, axis=axis_index(layout, new_axis)), layout)


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    layout = Layout((*x.order, op.axis), x.layout.folded, x.layout.batched)
    return inline_result(ONE_HOT(x.expr, op.count), layout)


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    initializer = emit_initializer(op.init, "uniform")
    layer = EMBEDDING.construct(op.count, op.features, embeddings_initializer=initializer)
    return layer_result(layer, x, (*x.order, CHANNEL), weights={"kernel": Storage("embeddings")})

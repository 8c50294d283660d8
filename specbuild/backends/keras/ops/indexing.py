"""Gathering, embedding and one-hot encoding in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.indexing import axis_index, insert_axes
from specbuild.backends.keras.framework import emits
from specbuild.backends.keras.initializers import emit_wrapped_initializer
from specbuild.backends.keras.ops.merge import repeat_batch
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, Storage, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call
from specbuild.ops.indexing import Embedding, Gather, OneHot, SegmentReduce
from specbuild.ops.types import CHANNEL, TensorType

EMBEDDING = Signature("layers.Embedding(input_dim, output_dim, embeddings_initializer='uniform')")
TAKE = Signature("ops.take(x, indices, axis=None)")
TAKE_ALONG = Signature("ops.take_along_axis(x, indices, axis=None)")
SQUEEZE = Signature("ops.squeeze(x, axis=None)")
ONE_HOT = Signature("OneHot(count)")
SEGMENT_REDUCE = Signature("SegmentReduce(count, reduce='sum')")


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
    return inline_result(code, Layout(order, unfolded.layout.batch_axes, out.batched))


def emit_gather_along(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    """Return `ops.take_along_axis`, for an index that has axes in common with the value.

    If the index has no axis of its own, it gets one of size 1, which the result loses again.
    """
    own_axes = [a for a in index.order if a not in op.shared_axes(x.type, index.type)]
    new_axis = own_axes[0] if own_axes else op.over
    layout = Layout(tuple(new_axis if a == op.over else a for a in x.order), (), out.batched)
    arranged = index.to_order(*(a for a in layout.order if a in index.type))
    positions = insert_axes(arranged, layout.order, out.batched)
    value = insert_axes(x, x.order, out.batched)
    axis = axis_index(layout, new_axis)
    code = TAKE_ALONG(value, positions, axis=axis)
    if own_axes:
        return inline_result(code, layout)
    rest = tuple(a for a in layout.order if a != new_axis)
    return inline_result(SQUEEZE(code, axis=axis), Layout(rest, (), out.batched))


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    return layer_result(ONE_HOT.construct(op.count), x, (*x.order, op.axis))


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    initializer = emit_wrapped_initializer("OutputsFirst", op.init, "uniform")
    layer = EMBEDDING.construct(op.count, op.features, embeddings_initializer=initializer)
    return layer_result(layer, x, (*x.order, CHANNEL), weights={"kernel": Storage("embeddings")})


@emits(SegmentReduce)
def emit_segment_reduce(op: SegmentReduce, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    if not out.batched:
        raise UnsupportedOp(
            "neither the values nor their index have a batch", "combine one with a batched value first"
        )
    shared, rest = op.axis_order(x.type, index.type)
    x, index = x.to_order(*shared, op.over, *rest), index.to_order(*shared, op.over)
    value, places = (
        part.expr if part.layout.batched else repeat_batch(part, other)
        for part, other in ((x, index), (index, x))
    )
    call = Call(OWN_MEMBER, (value, places))
    layer = SEGMENT_REDUCE.construct(op.count, reduce=op.reduce)
    return LoweringResult(call, Layout((*shared, op.axis, *rest)), layer)

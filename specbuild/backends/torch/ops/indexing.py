"""Gathering, embedding and one-hot encoding in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.indexing import index_axis, insert_axes
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.backends.torch.ops.merge import repeat_for_batch
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, Literal
from specbuild.ops.indexing import Embedding, Gather, OneHot, SegmentReduce
from specbuild.ops.types import CHANNEL, TensorType

EMBEDDING = Signature("nn.Embedding(num_embeddings, embedding_dim)")
ONE_HOT = Signature("OneHot(count)")
SEGMENT_REDUCE = Signature("segment_reduce(x, index, count, reduce='sum')")


@emits(Gather)
def emit_gather(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    if op.is_aligned(x.type, index.type):
        return emit_gather_along(op, x.unfold_axes(), index.unfold_axes(), out)
    unfolded, positions = unfold_axes(x, [op.over]), index.unfold_axes()
    if index.layout.batched:
        rest = tuple(a for a in x.order if a != op.over)
        code = Index(x.to_order(op.over, *rest).expr, (positions.expr,))
        return inline_result(code, Layout((*positions.order, *rest)))
    i = unfolded.order.index(op.over)
    order = (*unfolded.order[:i], *positions.order, *unfolded.order[i + 1 :])
    layout = Layout(order, unfolded.layout.batch_axes, unfolded.layout.batched)
    return inline_result(index_axis(unfolded, op.over, positions.expr), layout)


def emit_gather_along(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    """Return `torch.gather`, for an index that has axes in common with the value. Both get the same rank.

    If the index has no axis of its own, it gets one of size 1, which the result loses again.
    """
    own_axes = [a for a in index.order if a not in op.shared_axes(x.type, index.type)]
    new_axis = own_axes[0] if own_axes else op.over
    layout = Layout(tuple(new_axis if a == op.over else a for a in x.order), (), out.batched)
    arranged = index.to_order(*(a for a in layout.order if a in index.type))
    value = insert_axes(x, x.order, out.batched)
    positions = call_method(insert_axes(arranged, layout.order, out.batched), "long")
    if out.batched and not x.layout.batched:
        batch_size = Index(Attribute(index.expr, "shape"), (Literal(0),))
        value = call_method(value, "expand", batch_size, *[-1] * len(x.order))
    batched = [(x if x.layout.batched else index).expr] if out.batched else []
    sizes: list[Expr] = [
        Literal(-1) if index.layout.batched else Index(Attribute(expr, "shape"), (Literal(0),))
        for expr in batched
    ]
    sizes += [
        Literal(-1)
        if axis in index.type or axis == new_axis
        else Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        for axis in layout.order
    ]
    if any(size != Literal(-1) for size in sizes):
        positions = call_method(positions, "expand", *sizes)
    code = call_method(value, "gather", layout.dim(new_axis), positions)
    if own_axes:
        return inline_result(code, layout)
    rest = tuple(a for a in layout.order if a != new_axis)
    return inline_result(call_method(code, "squeeze", layout.dim(new_axis)), Layout(rest, (), out.batched))


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    return layer_result(ONE_HOT.construct(op.count), x, (*x.order, op.axis))


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    inits = (("weight", op.init),) if op.init else ()
    layer = EMBEDDING.construct(op.count, op.features)
    return layer_result(layer, x, (*x.order, CHANNEL), inits=inits, weights={"kernel": Storage("weight")})


@emits(SegmentReduce)
def emit_segment_reduce(op: SegmentReduce, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    shared, rest = op.axis_order(x.type, index.type)
    x, index = x.to_order(*shared, op.over, *rest), index.to_order(*shared, op.over)
    value, places = (
        part.expr if part.layout.batched or not out.batched else repeat_for_batch(part, other)
        for part, other in ((x, index), (index, x))
    )
    code = SEGMENT_REDUCE(value, places, op.count, reduce=op.reduce)
    return inline_result(code, Layout((*shared, op.axis, *rest), (), out.batched))

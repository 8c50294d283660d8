"""Gathering, embedding and one-hot encoding in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.indexing import index_axis, insert_axes
from specbuild.backends.signatures import Signature
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
    unfolded, positions = unfold_axes(x, [op.over]), index.unfold_axes()
    if index.layout.batched:
        rest = tuple(a for a in x.order if a != op.over)
        code = Index(x.to_order(op.over, *rest).expr, (positions.expr,))
        return inline_result(code, Layout((*positions.order, *rest)))
    i = unfolded.order.index(op.over)
    order = (*unfolded.order[:i], *positions.order, *unfolded.order[i + 1 :])
    layout = Layout(order, unfolded.layout.folded, unfolded.layout.batched)
    return inline_result(index_axis(unfolded, op.over, positions.expr), layout)


def emit_gather_along(op: Gather, x: Operand, index: Operand, out: TensorType) -> LoweringResult:
    """Return `torch.gather`, for an index that has axes in common with the value. Both get the same rank."""
    [new_axis] = (a for a in index.order if a not in op.shared_axes(x.type, index.type))
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
        Literal(-1) if axis in index.type else Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        for axis in layout.order
    ]
    if any(size != Literal(-1) for size in sizes):
        positions = call_method(positions, "expand", *sizes)
    return inline_result(call_method(value, "gather", layout.dim(new_axis), positions), layout)


@emits(OneHot)
def emit_one_hot(op: OneHot, x: Operand, out: TensorType) -> LoweringResult:
    codes = ONE_HOT(call_method(x.expr, "long"), op.count)
    layout = Layout((*x.order, op.axis), x.layout.folded, x.layout.batched)
    return inline_result(call_method(codes, "to", Call(Name("torch.get_default_dtype"))), layout)


@emits(Embedding)
def emit_embedding(op: Embedding, x: Operand, out: TensorType) -> LoweringResult:
    inits = (("weight", op.init),) if op.init else ()
    layer = EMBEDDING.construct(op.count, op.features)
    return layer_result(layer, x, (*x.order, CHANNEL), inits=inits, weights={"kernel": Storage("weight")})

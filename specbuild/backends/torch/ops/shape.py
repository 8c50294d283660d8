"""Flattening, unflattening and renaming of axes in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import emit_rename, make_axes_adjacent
from specbuild.backends.base import inline_result
from specbuild.backends.indexing import axis_index
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import backend, call_method, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.shape import Flatten, Rename, Unflatten
from specbuild.ops.types import TensorType

FLATTEN = Signature("nn.Flatten(start_dim=1, end_dim=-1)")


@emits(Flatten)
def emit_flatten(op: Flatten, x: Operand, out: TensorType) -> LoweringResult:
    x = make_axes_adjacent(x, op.axes, op.into, backend.natural_order(out))
    start, end = x.dim(op.axes[0]), x.dim(op.axes[-1])
    order = tuple(op.into if a == op.axes[0] else a for a in x.order if a not in op.axes[1:])
    layout = Layout(order, (), x.layout.batched)
    if start == end:
        return inline_result(x.expr, layout)
    if end == x.layout.rank - 1:
        return inline_result(
            call_method(x.expr, "flatten", start), layout, FLATTEN.construct(start_dim=start)
        )
    code = call_method(x.expr, "flatten", start, end)
    return inline_result(code, layout, FLATTEN.construct(start_dim=start, end_dim=end))


@emits(Unflatten)
def emit_unflatten(op: Unflatten, x: Operand, out: TensorType) -> LoweringResult:
    x = x.unfold_axes()
    i = x.order.index(op.axis)
    order = (*x.order[:i], *op.into, *x.order[i + 1 :])
    code = call_method(x.expr, "unflatten", axis_index(x.layout, op.axis), tuple(op.into.values()))
    return inline_result(code, Layout(order, (), x.layout.batched))


emits(Rename)(emit_rename)

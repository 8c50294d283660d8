"""Rearrangement in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import Signature, inline_result
from specbuild.backends.torch.layout import backend, call_method, emits
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.ops.shape import Flatten, Rename, Unflatten
from specbuild.ops.types import CHANNEL, TensorType

FLATTEN = Signature("nn.Flatten(start_dim=1, end_dim=-1)")


def make_axes_adjacent(x: Operand, axes: tuple[str, ...], into: str, natural: tuple[str, ...]) -> Operand:
    """The axes next to each other in this order: as they stand if they do, else as the framework lays the result."""
    here = x.unfold_axes()
    start = here.order.index(axes[0])
    if here.order[start : start + len(axes)] == axes:
        return here
    if here.order[-1] == CHANNEL and CHANNEL not in (
        *axes,
        into,
    ):  # a map with its channels last keeps them there
        natural = (*(a for a in natural if a != CHANNEL), CHANNEL)
    at = natural.index(into)
    return here.to_order(*natural[:at], *axes, *natural[at + 1 :])


@emits(Flatten)
def emit_flatten(op: Flatten, x: Operand, out: TensorType) -> LoweringResult:
    here = make_axes_adjacent(x, op.axes, op.into, backend.natural_order(out))
    start = here.dim(op.axes[0])
    end = here.dim(op.axes[-1])
    order = tuple(op.into if a == op.axes[0] else a for a in here.order if a not in op.axes[1:])
    layout = Layout(order, (), here.layout.batched)
    if start == end:
        return inline_result(here.expr, layout)
    last = end == here.layout.rank - 1
    call = call_method(here.expr, "flatten", start) if last else call_method(here.expr, "flatten", start, end)
    return inline_result(call, layout, FLATTEN.construct(start_dim=start, end_dim=-1 if last else end))


@emits(Unflatten)
def emit_unflatten(op: Unflatten, x: Operand, out: TensorType) -> LoweringResult:
    here = x.unfold_axes()
    dim = here.dim(op.axis)
    at = here.order.index(op.axis)
    order = (*here.order[:at], *op.into, *here.order[at + 1 :])
    last = dim == here.layout.rank - 1
    call = call_method(here.expr, "unflatten", -1 if last else dim, tuple(op.into.values()))
    return inline_result(call, Layout(order, (), here.layout.batched))


@emits(Rename)
def emit_rename(op: Rename, x: Operand, out: TensorType) -> LoweringResult:
    order = tuple(op.axes.get(a, a) for a in x.order)
    folded = tuple(op.axes.get(a, a) for a in x.layout.folded)
    return inline_result(x.expr, Layout(order, folded, x.layout.batched))

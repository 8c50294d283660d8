"""Rearrangement in Keras."""

from __future__ import annotations

from math import prod

from specbuild.backends.base import Signature, inline_result
from specbuild.backends.keras.layout import axis_size, backend, call_function, emits
from specbuild.backends.torch.ops.shape import make_axes_adjacent
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name, TupleOf, map_children
from specbuild.expressions import concrete, expression_of
from specbuild.ops.shape import Flatten, Rename, Unflatten
from specbuild.ops.types import CHANNEL, TensorType

FLATTEN = Signature("layers.Flatten()")


def reshape_operand(x: Operand, sizes: list[Expr], layout: Layout) -> LoweringResult:
    """New dimensions after the batch, which is worked out; of what was reshaped before, at once."""
    source: Expr = x.expr
    match x.inlinable_code:
        case Call(Name("ops.reshape"), (before, TupleOf(held))):

            def resolve_size(expr: Expr) -> Expr:
                match expr:
                    case Index(Attribute(of, "shape"), (Literal(int() as dim),)) if of == x.expr:
                        return held[dim]
                return map_children(expr, resolve_size)

            source, sizes = before, [resolve_size(expr) for expr in sizes]
    batch = (Literal(-1),) if layout.batched else ()
    return inline_result(call_function("ops.reshape", source, TupleOf((*batch, *sizes))), layout)


@emits(Flatten)
def emit_flatten(op: Flatten, x: Operand, out: TensorType) -> LoweringResult:
    here = make_axes_adjacent(x, op.axes, op.into, backend.natural_order(out))
    order = tuple(op.into if a == op.axes[0] else a for a in here.order if a not in op.axes[1:])
    layout = Layout(order, (), here.layout.batched)
    if len(op.axes) == 1:
        return inline_result(here.expr, layout)
    sizes = [
        merged_size(here, op, out) if a == op.into else axis_size(here.expr, here.layout, a, here.type)
        for a in order
    ]
    result = reshape_operand(here, sizes, layout)
    return (
        inline_result(result.call, layout, FLATTEN.construct())
        if len(order) == 1 and layout.batched
        else result
    )


def merged_size(x: Operand, op: Flatten, out: TensorType) -> Expr:
    """The size of the merged axis: in words, or read off what is merged."""
    if expression_of(out[op.into]) is not None:
        return literal_expression(out[op.into])
    parts = [axis_size(x.expr, x.layout, a, x.type) for a in op.axes]
    if all(isinstance(p, Literal) for p in parts):
        return Literal(prod(concrete(x[a]) for a in op.axes))
    whole = parts[0]
    for part in parts[1:]:
        whole = Infix("*", whole, part)
    return whole


@emits(Unflatten)
def emit_unflatten(op: Unflatten, x: Operand, out: TensorType) -> LoweringResult:
    here = x.unfold_axes()
    at = here.order.index(op.axis)
    order = (*here.order[:at], *op.into, *here.order[at + 1 :])
    sizes: list[Expr] = []
    for a in order:
        if a not in op.into:
            sizes.append(axis_size(here.expr, here.layout, a, here.type))
        elif op.into[a] != -1 or op.axis == CHANNEL or expression_of(out[a]) is not None:
            sizes.append(literal_expression(out[a]))
        else:
            known: Expr = literal_expression(prod(concrete(n) for n in op.into.values() if n != -1))
            told = [n for n in op.into.values() if n != -1]
            if len(told) == 1:
                known = literal_expression(told[0])
            sizes.append(Infix("//", axis_size(here.expr, here.layout, op.axis, here.type), known))
    return reshape_operand(here, sizes, Layout(order, (), here.layout.batched))


@emits(Rename)
def emit_rename(op: Rename, x: Operand, out: TensorType) -> LoweringResult:
    order = tuple(op.axes.get(a, a) for a in x.order)
    folded = tuple(op.axes.get(a, a) for a in x.layout.folded)
    return inline_result(x.expr, Layout(order, folded, x.layout.batched))

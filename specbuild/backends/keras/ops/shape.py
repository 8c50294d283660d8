"""Flattening, unflattening and renaming of axes in Keras."""

from __future__ import annotations

from functools import reduce
from math import prod

from msgspec.structs import replace

from specbuild.backends.align import emit_rename, make_axes_adjacent
from specbuild.backends.base import inline_result
from specbuild.backends.keras.framework import backend, emit_reshape, emits
from specbuild.backends.keras.required_sizes import require_sizes
from specbuild.backends.layout_conversion import axis_size
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name, TupleOf
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import concrete, expression_of
from specbuild.ir.axis_sources import trace_axis
from specbuild.ops.shape import Flatten, Rename, Unflatten
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType

FLATTEN = Signature("layers.Flatten()")


def reshape_operand(x: Operand, sizes: list[Expr], layout: Layout) -> LoweringResult:
    """Return `ops.reshape` to these sizes, after the batch. A reshape of a reshape becomes one."""
    source: Expr = x.expr
    match x.inlinable_code:
        case Call(Name("ops.reshape"), (before, TupleOf(previous_sizes))):

            def resolve_size(expr: Expr) -> Expr:
                match expr:
                    case Index(Attribute(value, "shape"), (Literal(int() as dim),)) if value == x.expr:
                        return previous_sizes[dim]
                return map_children(expr, resolve_size)

            source, sizes = before, [resolve_size(expr) for expr in sizes]
    return inline_result(emit_reshape(source, tuple(sizes), layout.batched), layout)


@emits(Flatten)
def emit_flatten(op: Flatten, x: Operand, out: TensorType) -> LoweringResult:
    x = make_axes_adjacent(x, op.axes, op.into, backend.natural_order(out))
    order = tuple(op.into if a == op.axes[0] else a for a in x.order if a not in op.axes[1:])
    layout = Layout(order, (), x.layout.batched)
    if len(op.axes) == 1:
        return inline_result(x.expr, layout)
    sizes = [
        merged_size(x, op, out) if a == op.into else axis_size(x.expr, x.layout, a, x.type) for a in order
    ]
    result = reshape_operand(x, sizes, layout)
    if len(order) == 1 and layout.batched:
        return replace(result, layer_form=FLATTEN.construct())
    return result


def merged_size(x: Operand, op: Flatten, out: TensorType) -> Expr:
    """Return the size of the merged axis: its expression, or the product of the sizes."""
    if expression_of(out[op.into]) is not None and not any(follows_input(x, a) for a in op.axes):
        return literal_expression(out[op.into])
    sizes = [axis_size(x.expr, x.layout, a, x.type) for a in op.axes]
    if all(isinstance(size, Literal) for size in sizes):
        return Literal(prod(concrete(x[a]) for a in op.axes))
    return reduce(lambda a, b: Infix("*", a, b), sizes)


def follows_input(x: Operand, axis: str) -> bool:
    """Return whether the size of an axis is that of an input, which can be another one when the code runs."""
    if axis == CHANNEL or expression_of(x[axis]) is not None:
        return False
    return axis in SPATIAL or trace_axis(x.lowering.block, x.value.key, axis) is not None


@emits(Unflatten)
def emit_unflatten(op: Unflatten, x: Operand, out: TensorType) -> LoweringResult:
    x = x.unfold_axes()
    i = x.order.index(op.axis)
    order = (*x.order[:i], *op.into, *x.order[i + 1 :])
    sizes: list[Expr] = []
    for a in order:
        if a not in op.into:
            sizes.append(axis_size(x.expr, x.layout, a, x.type))
        elif op.into[a] != -1 or op.axis == CHANNEL or expression_of(out[a]) is not None:
            sizes.append(literal_expression(out[a]))
        else:
            others = [n for n in op.into.values() if n != -1]
            divisor = others[0] if len(others) == 1 else prod(map(concrete, others))
            size = axis_size(x.expr, x.layout, op.axis, x.type)
            sizes.append(Infix("//", size, literal_expression(divisor)))
    layout = Layout(order, (), x.layout.batched)
    checked = require_sizes(op, x)
    if checked is not None and layout.batched and x.lowering.block.rebuild is not None:
        # with the number of samples, the reshape itself fails at a size that is not known before it runs
        samples = Index(Attribute(x.expr, "shape"), (Literal(0),))
        return inline_result(emit_reshape(checked, (samples, *sizes), batched=False), layout)
    if checked is not None:
        return inline_result(emit_reshape(checked, tuple(sizes), layout.batched), layout)
    return reshape_operand(x, sizes, layout)


emits(Rename)(emit_rename)

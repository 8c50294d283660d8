"""Rearrangement in Keras."""

from __future__ import annotations

from math import prod

from specbuild.backends.base import External, inline
from specbuild.backends.keras.layout import backend, call, emits, size
from specbuild.backends.torch.ops.shape import adjacent
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name, TupleOf, rebuild
from specbuild.expressions import plain, words
from specbuild.ops.shape import Flatten, Rename, Unflatten
from specbuild.ops.types import CHANNEL, Tensor

FLATTEN = External("layers.Flatten()")


def reshape(x: Operand, sizes: list[Expr], layout: Layout) -> Result:
    """New dimensions after the batch, which is worked out; of what was reshaped before, at once."""
    source: Expr = x.expr
    match x.call:
        case Call(Name("ops.reshape"), (before, TupleOf(held))):

            def seen(expr: Expr) -> Expr:
                match expr:
                    case Index(Attribute(of, "shape"), (Literal(int() as dim),)) if of == x.expr:
                        return held[dim]
                return rebuild(expr, seen)

            source, sizes = before, [seen(expr) for expr in sizes]
    batch = (Literal(-1),) if layout.batched else ()
    return inline(call("ops.reshape", source, TupleOf((*batch, *sizes))), layout)


@emits(Flatten)
def flatten(op: Flatten, x: Operand, out: Tensor) -> Result:
    here = adjacent(x, op.axes, op.into, backend.natural(out))
    order = tuple(op.into if a == op.axes[0] else a for a in here.order if a not in op.axes[1:])
    layout = Layout(order, (), here.layout.batched)
    if len(op.axes) == 1:
        return inline(here.expr, layout)
    sizes = [
        merged(here, op, out) if a == op.into else size(here.expr, here.layout, a, here.type) for a in order
    ]
    result = reshape(here, sizes, layout)
    return inline(result.call, layout, FLATTEN.made()) if len(order) == 1 and layout.batched else result


def merged(x: Operand, op: Flatten, out: Tensor) -> Expr:
    """The size of the merged axis: in words, or read off what is merged."""
    if words(out[op.into]) is not None:
        return literal(out[op.into])
    parts = [size(x.expr, x.layout, a, x.type) for a in op.axes]
    if all(isinstance(p, Literal) for p in parts):
        return Literal(prod(plain(x[a]) for a in op.axes))
    whole = parts[0]
    for part in parts[1:]:
        whole = Infix("*", whole, part)
    return whole


@emits(Unflatten)
def unflatten(op: Unflatten, x: Operand, out: Tensor) -> Result:
    here = x.unfolded()
    at = here.order.index(op.axis)
    order = (*here.order[:at], *op.into, *here.order[at + 1 :])
    sizes: list[Expr] = []
    for a in order:
        if a not in op.into:
            sizes.append(size(here.expr, here.layout, a, here.type))
        elif op.into[a] != -1 or op.axis == CHANNEL or words(out[a]) is not None:
            sizes.append(literal(out[a]))
        else:
            known: Expr = literal(prod(plain(n) for n in op.into.values() if n != -1))
            told = [n for n in op.into.values() if n != -1]
            if len(told) == 1:
                known = literal(told[0])
            sizes.append(Infix("//", size(here.expr, here.layout, op.axis, here.type), known))
    return reshape(here, sizes, Layout(order, (), here.layout.batched))


@emits(Rename)
def rename(op: Rename, x: Operand, out: Tensor) -> Result:
    order = tuple(op.axes.get(a, a) for a in x.order)
    folded = tuple(op.axes.get(a, a) for a in x.layout.folded)
    return inline(x.expr, Layout(order, folded, x.layout.batched))

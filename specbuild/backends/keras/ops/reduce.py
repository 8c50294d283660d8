"""Reductions in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline
from specbuild.backends.keras.layout import call, emits
from specbuild.backends.keras.ops.activation import dimensions
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops import reduce as ops
from specbuild.ops.reduce import Argmax, Cumsum, L2Norm, Normalize, Reduction, Spread, Std
from specbuild.ops.types import Tensor

FUNCTIONS: dict[type[Reduction], str] = {
    ops.Sum: "ops.sum",
    ops.Mean: "ops.mean",
    ops.Max: "ops.max",
    ops.Min: "ops.min",
    ops.Prod: "ops.prod",
    ops.Logsumexp: "ops.logsumexp",
}
NORMALIZE = External("ops.normalize(x, axis=-1, order=2, epsilon=None)")


def reduced(x: Operand, axes: tuple[str, ...], keep: bool) -> Layout:
    order = x.order if keep else tuple(a for a in x.order if a not in axes)
    return Layout(order, x.layout.folded, x.layout.batched)


def keepdims(keep: bool) -> dict[str, Any]:
    return {"keepdims": True} if keep else {}


@emits(*FUNCTIONS)
def reduction(op: Reduction, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    summary = call(FUNCTIONS[type(op)], here.expr, axis=dimensions(here, op.over), **keepdims(op.keep))
    return inline(summary, reduced(here, op.over, op.keep))


@emits(L2Norm)
def l2_norm(op: L2Norm, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    squares = call("ops.square", here.expr)
    total = call("ops.sum", squares, axis=dimensions(here, op.over), **keepdims(op.keep))
    return inline(call("safe_sqrt", total), reduced(here, op.over, op.keep))


@emits(ops.Variance, ops.Std)
def spread(op: Spread, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    axis, layout = dimensions(here, op.over), reduced(here, op.over, op.keep)
    if fixed(op.correction, 0):
        variance = call("ops.var", here.expr, axis=axis, **keepdims(op.keep))
    else:
        more = {} if fixed(op.correction, 1) else {"correction": literal(op.correction)}
        variance = call("corrected_variance", here.expr, axis=axis, **more, **keepdims(op.keep))
    return inline(call("safe_sqrt", variance) if isinstance(op, Std) else variance, layout)


@emits(Normalize)
def normalize(op: Normalize, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    return inline(NORMALIZE(here.expr, axis=dimensions(here, op.over), epsilon=op.epsilon), here.layout)


@emits(Argmax)
def argmax(op: Argmax, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, (op.over,))
    place = call("ops.argmax", here.expr, axis=dimensions(here, (op.over,)), **keepdims(op.keep))
    return inline(place, reduced(here, (op.over,), op.keep))


@emits(Cumsum)
def cumsum(op: Cumsum, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, (op.over,))
    return inline(call("ops.cumsum", here.expr, axis=dimensions(here, (op.over,))), here.layout)

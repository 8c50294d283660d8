"""Reductions in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import reduced_layout, unfold_axes
from specbuild.backends.base import inline_result, is_fixed
from specbuild.backends.indexing import axis_argument, axis_index
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import Construction
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops import reduce as ops
from specbuild.ops.reduce import Argmax, Cumsum, DispersionReduction, L2Norm, Normalize, Reduction, Std
from specbuild.ops.types import CHANNEL, TensorType

REDUCTION_FUNCTIONS: dict[type[Reduction], str] = {
    ops.Sum: "ops.sum",
    ops.Mean: "ops.mean",
    ops.Max: "ops.max",
    ops.Min: "ops.min",
    ops.Prod: "ops.prod",
    ops.Logsumexp: "ops.logsumexp",
}
MEAN_POOL = {
    n: Signature(f"layers.GlobalAveragePooling{n}D(data_format=None, keepdims=False)") for n in (1, 2, 3)
}
NORMALIZE = Signature("ops.normalize(x, axis=-1, order=2, epsilon=None)")


def keepdims_argument(keep: bool) -> dict[str, Any]:
    return {"keepdims": True} if keep else {}


@emits(*REDUCTION_FUNCTIONS)
def emit_reduction(op: Reduction, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    axis, keepdims = axis_argument(x.layout, op.over), keepdims_argument(op.keep)
    code = call_function(REDUCTION_FUNCTIONS[type(op)], x.expr, axis=axis, **keepdims)
    return inline_result(code, reduced_layout(x, op.over, op.keep), pooling_layer(op, x))


def pooling_layer(op: Reduction, x: Operand) -> Construction | None:
    """Return the layer that computes the mean of all places of a map; None for other reductions."""
    *places, channel = x.layout.order
    is_mean = type(op) is ops.Mean and op.keep and x.layout.batched and channel == CHANNEL
    if not is_mean or {*places} != {*op.over} or len(places) not in MEAN_POOL:
        return None
    return MEAN_POOL[len(places)].construct(keepdims=True)


@emits(L2Norm)
def emit_l2_norm(op: L2Norm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    axis, keepdims = axis_argument(x.layout, op.over), keepdims_argument(op.keep)
    total = call_function("ops.sum", call_function("ops.square", x.expr), axis=axis, **keepdims)
    return inline_result(call_function("safe_sqrt", total), reduced_layout(x, op.over, op.keep))


@emits(ops.Variance, ops.Std)
def emit_variance(op: DispersionReduction, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    axis, keepdims = axis_argument(x.layout, op.over), keepdims_argument(op.keep)
    if is_fixed(op.correction, 0):
        code = call_function("ops.var", x.expr, axis=axis, **keepdims)
    else:
        correction = {} if is_fixed(op.correction, 1) else {"correction": op.correction}
        code = call_function("corrected_variance", x.expr, axis=axis, **correction, **keepdims)
    if isinstance(op, Std):
        code = call_function("safe_sqrt", code)
    return inline_result(code, reduced_layout(x, op.over, op.keep))


@emits(Normalize)
def emit_normalize(op: Normalize, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    axis = axis_argument(x.layout, op.over)
    return inline_result(NORMALIZE(x.expr, axis=axis, epsilon=op.epsilon), x.layout)


@emits(Argmax)
def emit_argmax(op: Argmax, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    axis, keepdims = axis_index(x.layout, op.over), keepdims_argument(op.keep)
    code = call_function("ops.argmax", x.expr, axis=axis, **keepdims)
    return inline_result(code, reduced_layout(x, (op.over,), op.keep))


@emits(Cumsum)
def emit_cumsum(op: Cumsum, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    return inline_result(call_function("ops.cumsum", x.expr, axis=axis_index(x.layout, op.over)), x.layout)

"""Reductions in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, is_fixed
from specbuild.backends.keras.layout import call_function, emits
from specbuild.backends.keras.ops.activation import axis_argument
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.ops import reduce as ops
from specbuild.ops.reduce import Argmax, Cumsum, DispersionReduction, L2Norm, Normalize, Reduction, Std
from specbuild.ops.types import TensorType

REDUCTION_FUNCTIONS: dict[type[Reduction], str] = {
    ops.Sum: "ops.sum",
    ops.Mean: "ops.mean",
    ops.Max: "ops.max",
    ops.Min: "ops.min",
    ops.Prod: "ops.prod",
    ops.Logsumexp: "ops.logsumexp",
}
NORMALIZE = Signature("ops.normalize(x, axis=-1, order=2, epsilon=None)")


def reduced_layout(x: Operand, axes: tuple[str, ...], keep: bool) -> Layout:
    order = x.order if keep else tuple(a for a in x.order if a not in axes)
    return Layout(order, x.layout.folded, x.layout.batched)


def keepdims_argument(keep: bool) -> dict[str, Any]:
    return {"keepdims": True} if keep else {}


@emits(*REDUCTION_FUNCTIONS)
def emit_reduction(op: Reduction, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    summary = call_function(
        REDUCTION_FUNCTIONS[type(op)],
        here.expr,
        axis=axis_argument(here, op.over),
        **keepdims_argument(op.keep),
    )
    return inline_result(summary, reduced_layout(here, op.over, op.keep))


@emits(L2Norm)
def emit_l2_norm(op: L2Norm, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    squares = call_function("ops.square", here.expr)
    total = call_function("ops.sum", squares, axis=axis_argument(here, op.over), **keepdims_argument(op.keep))
    return inline_result(call_function("safe_sqrt", total), reduced_layout(here, op.over, op.keep))


@emits(ops.Variance, ops.Std)
def emit_variance(op: DispersionReduction, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    axis, layout = axis_argument(here, op.over), reduced_layout(here, op.over, op.keep)
    if is_fixed(op.correction, 0):
        variance = call_function("ops.var", here.expr, axis=axis, **keepdims_argument(op.keep))
    else:
        more = {} if is_fixed(op.correction, 1) else {"correction": literal_expression(op.correction)}
        variance = call_function(
            "corrected_variance", here.expr, axis=axis, **more, **keepdims_argument(op.keep)
        )
    return inline_result(call_function("safe_sqrt", variance) if isinstance(op, Std) else variance, layout)


@emits(Normalize)
def emit_normalize(op: Normalize, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    return inline_result(
        NORMALIZE(here.expr, axis=axis_argument(here, op.over), epsilon=op.epsilon), here.layout
    )


@emits(Argmax)
def emit_argmax(op: Argmax, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, (op.over,))
    place = call_function(
        "ops.argmax", here.expr, axis=axis_argument(here, (op.over,)), **keepdims_argument(op.keep)
    )
    return inline_result(place, reduced_layout(here, (op.over,), op.keep))


@emits(Cumsum)
def emit_cumsum(op: Cumsum, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, (op.over,))
    return inline_result(
        call_function("ops.cumsum", here.expr, axis=axis_argument(here, (op.over,))), here.layout
    )

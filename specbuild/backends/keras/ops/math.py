"""Elementwise functions of one value in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops import math as ops
from specbuild.ops.math import Cast, Clip, MathOp
from specbuild.ops.types import TensorType

MATH_FUNCTIONS: dict[type[MathOp], Signature] = {
    ops.Abs: Signature("ops.abs(x)"),
    ops.Sign: Signature("ops.sign(x)"),
    ops.Square: Signature("ops.square(x)"),
    ops.Sqrt: Signature("ops.sqrt(x)"),
    ops.Rsqrt: Signature("ops.rsqrt(x)"),
    ops.Exp: Signature("ops.exp(x)"),
    ops.Log: Signature("ops.log(x)"),
    ops.Sin: Signature("ops.sin(x)"),
    ops.Cos: Signature("ops.cos(x)"),
    ops.Erf: Signature("ops.erf(x)"),
    ops.Floor: Signature("ops.floor(x)"),
    ops.Trunc: Signature("ops.trunc(x)"),
    ops.StopGradient: Signature("ops.stop_gradient(variable)"),
}
CAST = Signature("ops.cast(x, dtype)")
TO_FLOAT = Signature("ToFloat()")


@emits(*MATH_FUNCTIONS)
def emit_math(op: MathOp, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(MATH_FUNCTIONS[type(op)](x.expr), x.layout)


@emits(Clip)
def emit_clip(op: Clip, x: Operand, out: TensorType) -> LoweringResult:
    if op.min is not None and op.max is not None:
        return inline_result(call_function("ops.clip", x.expr, op.min, op.max), x.layout)
    if op.min is not None:
        return inline_result(call_function("ops.maximum", x.expr, op.min), x.layout)
    return inline_result(call_function("ops.minimum", x.expr, op.max), x.layout)


@emits(Cast)
def emit_cast(op: Cast, x: Operand, out: TensorType) -> LoweringResult:
    if x.type.dtype == op.dtype:
        return inline_result(x.expr, x.layout)
    if op.dtype == "float":
        return layer_result(TO_FLOAT.construct(), x)
    return inline_result(CAST(x.expr, op.dtype), x.layout)

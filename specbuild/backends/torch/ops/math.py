"""Elementwise functions of one value in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops import math as ops
from specbuild.ops.math import Cast, Clip, MathOp
from specbuild.ops.types import TensorType

MATH_METHODS: dict[type[MathOp], str] = {
    ops.Abs: "abs",
    ops.Sign: "sign",
    ops.Square: "square",
    ops.Sqrt: "sqrt",
    ops.Rsqrt: "rsqrt",
    ops.Exp: "exp",
    ops.Log: "log",
    ops.Sin: "sin",
    ops.Cos: "cos",
    ops.Erf: "erf",
    ops.Floor: "floor",
    ops.Trunc: "trunc",
    ops.StopGradient: "detach",
}
CAST_METHODS = {"int32": "int", "bool": "bool"}
TO_FLOAT = Signature("ToFloat()")


@emits(*MATH_METHODS)
def emit_math(op: MathOp, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(call_method(x.expr, MATH_METHODS[type(op)]), x.layout)


@emits(Clip)
def emit_clip(op: Clip, x: Operand, out: TensorType) -> LoweringResult:
    limits = {name: value for name, value in (("min", op.min), ("max", op.max)) if value is not None}
    return inline_result(call_method(x.expr, "clamp", **limits), x.layout)


@emits(Cast)
def emit_cast(op: Cast, x: Operand, out: TensorType) -> LoweringResult:
    if x.type.dtype == op.dtype:
        return inline_result(x.expr, x.layout)
    if op.dtype == "float":
        return layer_result(TO_FLOAT.construct(), x)
    return inline_result(call_method(x.expr, CAST_METHODS[op.dtype]), x.layout)

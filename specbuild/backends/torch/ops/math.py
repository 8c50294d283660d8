"""Elementwise functions of one value in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.torch.layout import call_method, emits
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.ops import math as ops
from specbuild.ops.math import Clip, MathOp
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
    ops.Floor: "floor",
    ops.StopGradient: "detach",
}


@emits(*MATH_METHODS)
def emit_math(op: MathOp, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(call_method(x.expr, MATH_METHODS[type(op)]), x.layout)


@emits(Clip)
def emit_clip(op: Clip, x: Operand, out: TensorType) -> LoweringResult:
    limits = {name: value for name, value in (("min", op.min), ("max", op.max)) if value is not None}
    return inline_result(call_method(x.expr, "clamp", **limits), x.layout)

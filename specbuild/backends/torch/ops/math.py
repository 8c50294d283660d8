"""Functions of one value in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline
from specbuild.backends.torch.layout import emits, method
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops import math as ops
from specbuild.ops.math import Clip, Math
from specbuild.ops.types import Tensor

METHODS: dict[type[Math], str] = {
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


@emits(*METHODS)
def elementwise(op: Math, x: Operand, out: Tensor) -> Result:
    return inline(method(x.expr, METHODS[type(op)]), x.layout)


@emits(Clip)
def clip(op: Clip, x: Operand, out: Tensor) -> Result:
    limits = {name: value for name, value in (("min", op.min), ("max", op.max)) if value is not None}
    return inline(method(x.expr, "clamp", **limits), x.layout)

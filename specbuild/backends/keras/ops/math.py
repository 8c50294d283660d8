"""Functions of one value in Keras."""

from __future__ import annotations

from specbuild.backends.base import External, inline
from specbuild.backends.keras.layout import call, emits
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops import math as ops
from specbuild.ops.math import Clip, Math
from specbuild.ops.types import Tensor

FUNCTIONS: dict[type[Math], External] = {
    ops.Abs: External("ops.abs(x)"),
    ops.Sign: External("ops.sign(x)"),
    ops.Square: External("ops.square(x)"),
    ops.Sqrt: External("ops.sqrt(x)"),
    ops.Rsqrt: External("ops.rsqrt(x)"),
    ops.Exp: External("ops.exp(x)"),
    ops.Log: External("ops.log(x)"),
    ops.Sin: External("ops.sin(x)"),
    ops.Cos: External("ops.cos(x)"),
    ops.Floor: External("ops.floor(x)"),
    ops.StopGradient: External("ops.stop_gradient(variable)"),
}


@emits(*FUNCTIONS)
def elementwise(op: Math, x: Operand, out: Tensor) -> Result:
    return inline(FUNCTIONS[type(op)](x.expr), x.layout)


@emits(Clip)
def clip(op: Clip, x: Operand, out: Tensor) -> Result:
    if op.min is not None and op.max is not None:
        return inline(call("ops.clip", x.expr, op.min, op.max), x.layout)
    if op.min is not None:
        return inline(call("ops.maximum", x.expr, op.min), x.layout)
    return inline(call("ops.minimum", x.expr, op.max), x.layout)

"""Ops that PyTorch computes with float32 constants even in float64. All others agree to 1e-9 or better."""

from __future__ import annotations

from specbuild.backends.float32_constants import Float32Constant, is_inexact
from specbuild.expressions import concrete
from specbuild.ops import activation
from specbuild.ops.base import Op

FLOAT32_CONSTANTS: dict[type[Op], Float32Constant] = {
    activation.HardSigmoid: Float32Constant(
        "PyTorch keeps 1 / 6 in float32 in the gradient of hard sigmoid", lambda op, x: True
    ),
    activation.Celu: Float32Constant(
        "PyTorch keeps 1 / alpha in float32 in the gradient of CELU",
        lambda op, x: is_inexact(1 / concrete(op.alpha)),
    ),
}

"""Ops that Keras computes with float32 constants even in float64. All others agree to 1e-9 or better."""

from __future__ import annotations

from math import sqrt

from specbuild.backends.float32_constants import Float32Constant, is_inexact
from specbuild.expressions import concrete
from specbuild.ops import activation, attention
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType


def has_inexact_scale(op: attention.Attention, query: TensorType) -> bool:
    """Return whether Keras' attention function rounds the scale.

    It is used for queries with one axis of heads.
    """
    has_heads = len(query.without_axes(op.over, op.features).axes) == 1
    scale = 1 / sqrt(concrete(query[op.features])) if op.scale is None else concrete(op.scale)
    return has_heads and is_inexact(scale)


FLOAT32_CONSTANTS: dict[type[Op], Float32Constant] = {
    activation.Gelu: Float32Constant("TensorFlow keeps the constants of GELU in float32", lambda op, x: True),
    activation.LeakyRelu: Float32Constant(
        "TensorFlow keeps the slope of leaky ReLU in float32", lambda op, x: is_inexact(concrete(op.slope))
    ),
    attention.Attention: Float32Constant("Keras keeps the scale of attention in float32", has_inexact_scale),
}

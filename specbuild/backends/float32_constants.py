"""Ops that a framework computes with float32 constants even in float64."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

from specbuild.expressions import concrete
from specbuild.ops import activation, attention
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType


class Float32Constant(NamedTuple):
    """A constant that a framework keeps in float32.

    `applies` says for an op and its first input whether the constant is rounded: 0.25, for example, is exact.
    """

    reason: str
    applies: Callable[[Any, TensorType], bool]


def is_inexact(x: float) -> bool:
    """Whether a number is rounded in float32."""
    return bool(struct.unpack("f", struct.pack("f", x))[0] != x)


def has_inexact_scale(op: attention.Attention, query: TensorType) -> bool:
    """Whether Keras' attention function rounds the scale. It is used for queries with one axis of heads."""
    has_heads = len(query.without_axes(op.over, op.features).axes) == 1
    scale = 1 / sqrt(concrete(query[op.features])) if op.scale is None else concrete(op.scale)
    return has_heads and is_inexact(scale)


# Measured in float64: all other ops agree to 1e-9 or better.
FLOAT32_CONSTANTS: dict[type[Op], Float32Constant] = {
    activation.Gelu: Float32Constant("TensorFlow keeps the constants of GELU in float32", lambda op, x: True),
    activation.LeakyRelu: Float32Constant(
        "TensorFlow keeps the slope of leaky ReLU in float32", lambda op, x: is_inexact(concrete(op.slope))
    ),
    activation.HardSigmoid: Float32Constant(
        "PyTorch keeps 1 / 6 in float32 in the gradient of hard sigmoid", lambda op, x: True
    ),
    activation.Celu: Float32Constant(
        "PyTorch keeps 1 / alpha in float32 in the gradient of CELU",
        lambda op, x: is_inexact(1 / concrete(op.alpha)),
    ),
    attention.Attention: Float32Constant("Keras keeps the scale of attention in float32", has_inexact_scale),
}


def rounding_reasons(op: Op, x: TensorType) -> list[str]:
    """Return why an op with this first input is not computed in float64 throughout; empty if it is."""
    constant = FLOAT32_CONSTANTS.get(type(op))
    return [constant.reason] if constant is not None and constant.applies(op, x) else []

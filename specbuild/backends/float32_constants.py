"""Which ops a framework computes with constants of float32, whatever the type of the numbers."""

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
    """What is rounded, and whether it is so in an op on its first input: a quarter is one in float32 too."""

    reason: str
    applies: Callable[[Any, TensorType], bool]


def is_inexact(x: float) -> bool:
    """Whether float32 does not hold it."""
    return bool(struct.unpack("f", struct.pack("f", x))[0] != x)


def has_inexact_scale(op: attention.Attention, query: TensorType) -> bool:
    """Keras' own function is for queries with one more axis, of heads."""
    heads = len(query.without_axes(op.over, op.features).axes) == 1
    return heads and is_inexact(
        1 / sqrt(concrete(query[op.features])) if op.scale is None else concrete(op.scale)
    )


# Measured in float64: everything else agrees to 1e-9 and better.
FLOAT32_CONSTANTS: dict[type[Op], Float32Constant] = {
    activation.Gelu: Float32Constant("TensorFlow holds the constants of GELU in float32", lambda op, x: True),
    activation.LeakyRelu: Float32Constant(
        "TensorFlow holds the slope of leaky ReLU in float32", lambda op, x: is_inexact(concrete(op.slope))
    ),
    activation.HardSigmoid: Float32Constant(
        "PyTorch holds the sixth in the gradient of hard sigmoid in float32", lambda op, x: True
    ),
    activation.Celu: Float32Constant(
        "PyTorch holds 1 / alpha in the gradient of CELU in float32",
        lambda op, x: is_inexact(1 / concrete(op.alpha)),
    ),
    attention.Attention: Float32Constant("Keras holds the scale of attention in float32", has_inexact_scale),
}


def rounding_reasons(op: Op, x: TensorType) -> list[str]:
    """Why this op, on this first input, is not computed in float64 throughout."""
    found = FLOAT32_CONSTANTS.get(type(op))
    return [found.reason] if found is not None and found.applies(op, x) else []

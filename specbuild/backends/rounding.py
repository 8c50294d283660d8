"""Which ops a framework computes with constants of float32, whatever the type of the numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

from specbuild.expressions import plain
from specbuild.ops import activation, attention
from specbuild.ops.base import Op
from specbuild.ops.types import Tensor


class Rounded(NamedTuple):
    """What is rounded, and whether it is so in an op on its first input: a quarter is one in float32 too."""

    why: str
    holds: Callable[[Any, Tensor], bool]


def inexact(x: float) -> bool:
    """Whether float32 does not hold it."""
    return bool(struct.unpack("f", struct.pack("f", x))[0] != x)


def scaled(op: attention.Attention, query: Tensor) -> bool:
    """Keras' own function is for queries with one more axis, of heads."""
    heads = len(query.without(op.over, op.features).axes) == 1
    return heads and inexact(1 / sqrt(plain(query[op.features])) if op.scale is None else plain(op.scale))


# Measured in float64: everything else agrees to 1e-9 and better.
ROUNDED: dict[type[Op], Rounded] = {
    activation.Gelu: Rounded("TensorFlow holds the constants of GELU in float32", lambda op, x: True),
    activation.LeakyRelu: Rounded(
        "TensorFlow holds the slope of leaky ReLU in float32", lambda op, x: inexact(plain(op.slope))
    ),
    activation.HardSigmoid: Rounded(
        "PyTorch holds the sixth in the gradient of hard sigmoid in float32", lambda op, x: True
    ),
    activation.Celu: Rounded(
        "PyTorch holds 1 / alpha in the gradient of CELU in float32",
        lambda op, x: inexact(1 / plain(op.alpha)),
    ),
    attention.Attention: Rounded("Keras holds the scale of attention in float32", scaled),
}


def reasons(op: Op, x: Tensor) -> list[str]:
    """Why this op, on this first input, is not computed in float64 throughout."""
    found = ROUNDED.get(type(op))
    return [found.why] if found is not None and found.holds(op, x) else []

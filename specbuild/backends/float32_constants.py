"""Ops that a framework computes with float32 constants even in float64: what a backend says of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from specbuild.ops.types import TensorType


class Float32Constant(NamedTuple):
    """A constant that a framework keeps in float32.

    `applies` says for an op and its first input whether the constant is rounded: 0.25, for example, is exact.
    """

    reason: str
    applies: Callable[[Any, TensorType], bool]


def is_inexact(x: float) -> bool:
    """Return whether a number is rounded in float32."""
    return bool(struct.unpack("f", struct.pack("f", x))[0] != x)

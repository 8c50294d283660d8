"""Pooling in Keras."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import External, layer, scalar
from specbuild.backends.keras.base import emits
from specbuild.backends.keras.mix import padding_of, places, sides
from specbuild.emit.lower import Operand, Result, Unsupported
from specbuild.ops.pool import MaxPool

MAX_POOL = {n: External(f"layers.MaxPooling{n}D(pool_size, strides=None, padding='valid')") for n in (1, 2, 3)}
PADDED_MAX_POOL = {n: External(f"PaddedMaxPooling{n}D(pool_size, padding, strides=None)") for n in (1, 2, 3)}


@emits(MaxPool)
def max_pool(op: MaxPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    if any(d != 1 for d in window.dilation):
        raise Unsupported("its max pooling has no dilation")
    strides = None if op.stride is None else scalar(window.stride)
    word = padding_of(window, same=op.padding == "same")
    n = len(window.axes)
    if word is not None:
        return layer(MAX_POOL[n].made(scalar(window.kernel), strides=strides, padding=word), here)
    return layer(PADDED_MAX_POOL[n].made(scalar(window.kernel), sides(window), strides=strides), here)

"""Dropout in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline, layer
from specbuild.backends.keras.layout import emits
from specbuild.codegen.lowering import Operand, Result
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.ops.types import CHANNEL, Tensor

DROPOUT = External("layers.Dropout(rate, noise_shape=None)")
SPATIAL = {n: External(f"layers.SpatialDropout{n}D(rate)") for n in (1, 2, 3)}
IDENTITY = External("layers.Identity()")


@emits(Dropout)
def dropout(op: Dropout, x: Operand, out: Tensor) -> Result:
    if fixed(op.rate, 0):
        return inline(x.expr, x.layout, IDENTITY.made())
    if not op.over:
        return layer(DROPOUT.made(op.rate), x)
    here = unfolded(x, op.over)
    if len(op.over) <= 3 and (*(a for a in here.order if a in op.over), CHANNEL) == here.order:
        return layer(SPATIAL[len(op.over)].made(op.rate), here)
    shape = tuple(1 if a in op.over else None for a in here.order)
    return layer(DROPOUT.made(op.rate, noise_shape=(None, *shape)), here)


@emits(DropPath)
def drop_path(op: DropPath, x: Operand, out: Tensor) -> Result:
    if fixed(op.rate, 0):
        return inline(x.expr, x.layout, IDENTITY.made())
    here = x.unfolded()
    return layer(DROPOUT.made(op.rate, noise_shape=(None, *[1] * len(here.order))), here)

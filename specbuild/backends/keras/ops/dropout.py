"""Dropout in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, is_fixed, layer_result
from specbuild.backends.keras.framework import emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.ops.types import CHANNEL, TensorType

DROPOUT = Signature("layers.Dropout(rate, noise_shape=None)")
CHANNEL_DROPOUT = {n: Signature(f"layers.SpatialDropout{n}D(rate)") for n in (1, 2, 3)}
IDENTITY = Signature("layers.Identity()")


@emits(Dropout)
def emit_dropout(op: Dropout, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.rate, 0):
        return inline_result(x.expr, x.layout, IDENTITY.construct())
    if not op.over:
        return layer_result(DROPOUT.construct(op.rate), x)
    x = unfold_axes(x, op.over)
    if len(op.over) <= 3 and x.layout.batched and x.order == (*(a for a in x.order if a in op.over), CHANNEL):
        return layer_result(CHANNEL_DROPOUT[len(op.over)].construct(op.rate), x)
    shape = tuple(1 if a in op.over else None for a in x.order)
    batch = (None,) if x.layout.batched else ()
    return layer_result(DROPOUT.construct(op.rate, noise_shape=(*batch, *shape)), x)


@emits(DropPath)
def emit_drop_path(op: DropPath, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.rate, 0):
        return inline_result(x.expr, x.layout, IDENTITY.construct())
    x = x.unfold_axes()
    return layer_result(DROPOUT.construct(op.rate, noise_shape=(None, *[1] * len(x.order))), x)

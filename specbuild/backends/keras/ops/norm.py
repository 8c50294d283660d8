"""Normalization in Keras. Epsilon and momentum are always written."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import move_axes_last, require_batch, unfold_axes, weight_order
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.keras.framework import emits
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.operands import Operand
from specbuild.expressions import symbolic_formula
from specbuild.ops.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    position_axes,
)
from specbuild.ops.types import CHANNEL, TensorType

AFFINE = "center=True, scale=True, beta_initializer='zeros', gamma_initializer='ones'"
BATCH_NORM = Signature(
    f"layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=1e-3, {AFFINE})",
    always_written=("momentum", "epsilon"),
)
LAYER_NORM = Signature(
    f"layers.LayerNormalization(axis=-1, epsilon=1e-3, {AFFINE})", always_written=("epsilon",)
)
GROUP_NORM = Signature(
    f"layers.GroupNormalization(groups=32, axis=-1, epsilon=1e-3, {AFFINE})", always_written=("epsilon",)
)
RMS_NORM = Signature("layers.RMSNormalization(axis=-1, epsilon=1e-6)", always_written=("epsilon",))
RMS_NORMALIZATION = Signature("ops.rms_normalization(x, scale=None, axis=-1, epsilon=None)")
LOCAL_RESPONSE_NORM = Signature("LocalResponseNormalization(size, alpha=1e-4, beta=0.75, k=1.0)")
STATISTICS = {"mean": Storage("moving_mean"), "variance": Storage("moving_variance")}


def affine_storage(
    affine: bool, order: tuple[int, ...] | None = None, bias: bool = True
) -> dict[str, Storage]:
    """Return where Keras stores the scale and shift of a norm; none if it is not `affine`."""
    scale = {"scale": Storage("gamma", order)} if affine else {}
    return scale | ({"shift": Storage("beta", order)} if affine and bias else {})


@emits(BatchNorm)
def emit_batch_norm(op: BatchNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    x = x.to_order(*(a for a in x.order if a != op.over), op.over, batch_axes=x.layout.batch_axes)
    layer = BATCH_NORM.construct(
        momentum=keras_momentum(op.momentum),
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(layer, x, weights=affine_storage(op.affine) | STATISTICS)


def keras_momentum(momentum: float) -> float:
    """Return the momentum in Keras' terms: the share of the old statistics that is kept."""
    value: float = symbolic_formula("1 - m", m=momentum)
    return value if abs(value - round(value, 12)) > 1e-15 else round(value, 12)


def negative_axes(x: Operand, axes: tuple[str, ...]) -> Any:
    """Return the dimensions of these axes, counted from the end: one number, or a tuple."""
    dims = tuple(d - x.layout.rank for d in x.sorted_dims(axes))
    return dims if len(dims) > 1 else dims[0]


@emits(LayerNorm)
def emit_layer_norm(op: LayerNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = move_axes_last(x, op.over)  # on PyTorch, Keras normalizes the last axes and ignores `axis`
    layer = LAYER_NORM.construct(
        axis=negative_axes(x, op.over),
        epsilon=op.epsilon,
        center=op.affine and op.bias,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(layer, x, weights=affine_storage(op.affine, weight_order(x, op.over), op.bias))


@emits(RmsNorm)
def emit_rms_norm(op: RmsNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = move_axes_last(x, op.over)  # Keras applies the scale to the last axes and ignores `axis`
    axis = negative_axes(x, op.over)
    if not op.affine:
        return inline_result(RMS_NORMALIZATION(x.expr, axis=axis, epsilon=op.epsilon), x.layout)
    layer = RMS_NORM.construct(axis=axis, epsilon=op.epsilon)
    return layer_result(layer, x, weights={"scale": Storage("scale", weight_order(x, op.over))})


def arrange_channels_last(x: Operand, axes: tuple[str, ...]) -> Operand:
    """Return an operand with these axes first, then C. All others are folded into the batch."""
    batch_axes = tuple(a for a in (*x.layout.batch_axes, *x.order) if a != CHANNEL and a not in axes)
    x = unfold_axes(x, axes)
    return x.to_order(*(a for a in x.order if a in axes), CHANNEL, batch_axes=batch_axes)


@emits(GroupNorm, InstanceNorm)
def emit_group_norm(op: GroupNorm | InstanceNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    x = arrange_channels_last(x, position_axes(x.type, op.over))
    layer = GROUP_NORM.construct(
        groups=op.groups if isinstance(op, GroupNorm) else -1,  # one group for each channel
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(layer, x, weights=affine_storage(op.affine))


@emits(LocalResponseNorm)
def emit_local_response_norm(op: LocalResponseNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (CHANNEL,))
    x = x.to_order(*(a for a in x.order if a != CHANNEL), CHANNEL, batch_axes=x.layout.batch_axes)
    return layer_result(LOCAL_RESPONSE_NORM.construct(op.size, alpha=op.alpha, beta=op.beta, k=op.k), x)

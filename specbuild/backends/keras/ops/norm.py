"""Normalisation in Keras; epsilon and momentum are always written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.backends.align import require_batch, unfold_axes
from specbuild.backends.base import Signature, inline_result, layer_result
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import emits
from specbuild.codegen.lowering import LoweringResult, Operand, Storage
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
    written=("momentum", "epsilon"),
)
LAYER_NORM = Signature(f"layers.LayerNormalization(axis=-1, epsilon=1e-3, {AFFINE})", written=("epsilon",))
GROUP_NORM = Signature(
    f"layers.GroupNormalization(groups=32, axis=-1, epsilon=1e-3, {AFFINE})", written=("epsilon",)
)
RMS_NORM = Signature("layers.RMSNormalization(axis=-1, epsilon=1e-6)", written=("epsilon",))
RMS_NORMALIZATION = Signature("ops.rms_normalization(x, scale=None, axis=-1, epsilon=None)")
LOCAL_RESPONSE_NORM = Signature("LocalResponseNormalization(size, alpha=1e-4, beta=0.75, k=1.0)")
STATISTICS = {"mean": Storage("moving_mean"), "variance": Storage("moving_variance")}


def affine_storage(
    affine: bool, order: tuple[int, ...] | None = None, bias: bool = True
) -> dict[str, Storage]:
    """Where the learned scale and shift are kept."""
    scale = {"scale": Storage("gamma", order)} if affine else {}
    return scale | ({"shift": Storage("beta", order)} if affine and bias else {})


def move_axes_last(x: Operand, over: Sequence[str]) -> Operand:
    """A value in which these axes are the last ones."""
    here = unfold_axes(x, over)
    if set(here.order[-len(over) :]) == set(over):
        return here
    return here.to_order(*(a for a in here.order if a not in over), *over, folded=here.layout.folded)


@emits(BatchNorm)
def emit_batch_norm(op: BatchNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    here = x.to_order(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = BATCH_NORM.construct(
        momentum=keras_momentum(op.momentum),
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(make, here, weights=affine_storage(op.affine) | STATISTICS)


def keras_momentum(momentum: float) -> float:
    """Keras' momentum is the share of the old statistics that stays."""
    value: float = symbolic_formula("1 - m", m=momentum)
    return value if abs(value - round(value, 12)) > 1e-15 else round(value, 12)


def negative_axes(x: Operand, axes: tuple[str, ...]) -> tuple[Any, tuple[int, ...] | None]:
    """Where axes stand, counted from the end; and how weights that name them in order lie."""
    dims = tuple(d - x.layout.rank for d in x.sorted_dims(axes))
    order = tuple(axes.index(a) for a in x.order if a in axes)
    return dims if len(dims) > 1 else dims[0], None if order == tuple(range(len(axes))) else order


@emits(LayerNorm)
def emit_layer_norm(op: LayerNorm, x: Operand, out: TensorType) -> LoweringResult:
    here = move_axes_last(x, op.over)  # on PyTorch, Keras norms the last axes, whatever `axis` says
    axis, order = negative_axes(here, op.over)
    make = LAYER_NORM.construct(
        axis=axis,
        epsilon=op.epsilon,
        center=op.affine and op.bias,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(make, here, weights=affine_storage(op.affine, order, op.bias))


@emits(RmsNorm)
def emit_rms_norm(op: RmsNorm, x: Operand, out: TensorType) -> LoweringResult:
    here = move_axes_last(x, op.over)  # its scale meets the last axes, whatever `axis` says
    axis, order = negative_axes(here, op.over)
    if not op.affine:
        return inline_result(RMS_NORMALIZATION(here.expr, axis=axis, epsilon=op.epsilon), here.layout)
    return layer_result(
        RMS_NORM.construct(axis=axis, epsilon=op.epsilon), here, weights={"scale": Storage("scale", order)}
    )


@emits(GroupNorm, InstanceNorm)
def emit_group_norm(op: GroupNorm | InstanceNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    axes = position_axes(x.type, op.over)
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    here = unfold_axes(x, axes)
    here = here.to_order(*(a for a in here.order if a in axes), CHANNEL, folded=others)
    make = GROUP_NORM.construct(
        groups=op.groups if isinstance(op, GroupNorm) else -1,  # a group for each channel
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=emit_initializer(op.init, "ones"),
    )
    return layer_result(make, here, weights=affine_storage(op.affine))


@emits(LocalResponseNorm)
def emit_local_response_norm(op: LocalResponseNorm, x: Operand, out: TensorType) -> LoweringResult:
    here = x.to_order(*(a for a in x.order if a != CHANNEL), CHANNEL, folded=x.layout.folded)
    return layer_result(LOCAL_RESPONSE_NORM.construct(op.size, alpha=op.alpha, beta=op.beta, k=op.k), here)

"""Normalisation in Keras; epsilon and momentum are always written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.backends.align import batched, unfolded
from specbuild.backends.base import External, inline, layer
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import emits
from specbuild.codegen.lowering import Operand, Result, Stored
from specbuild.expressions import formula
from specbuild.ops.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    places,
)
from specbuild.ops.types import CHANNEL, Tensor

AFFINE = "center=True, scale=True, beta_initializer='zeros', gamma_initializer='ones'"
BATCH_NORM = External(
    f"layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=1e-3, {AFFINE})",
    written=("momentum", "epsilon"),
)
LAYER_NORM = External(f"layers.LayerNormalization(axis=-1, epsilon=1e-3, {AFFINE})", written=("epsilon",))
GROUP_NORM = External(
    f"layers.GroupNormalization(groups=32, axis=-1, epsilon=1e-3, {AFFINE})", written=("epsilon",)
)
RMS_NORM = External("layers.RMSNormalization(axis=-1, epsilon=1e-6)", written=("epsilon",))
RMS_NORMALIZATION = External("ops.rms_normalization(x, scale=None, axis=-1, epsilon=None)")
LOCAL_RESPONSE_NORM = External("LocalResponseNormalization(size, alpha=1e-4, beta=0.75, k=1.0)")
STATISTICS = {"mean": Stored("moving_mean"), "variance": Stored("moving_variance")}


def held(affine: bool, order: tuple[int, ...] | None = None, bias: bool = True) -> dict[str, Stored]:
    """Where the learned scale and shift are kept."""
    scale = {"scale": Stored("gamma", order)} if affine else {}
    return scale | ({"shift": Stored("beta", order)} if affine and bias else {})


def trailing(x: Operand, over: Sequence[str]) -> Operand:
    """A value in which these axes are the last ones."""
    here = unfolded(x, over)
    if set(here.order[-len(over) :]) == set(over):
        return here
    return here.to(*(a for a in here.order if a not in over), *over, folded=here.layout.folded)


@emits(BatchNorm)
def batch_norm(op: BatchNorm, x: Operand, out: Tensor) -> Result:
    x = unfolded(x, (op.over,))
    here = x.to(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = BATCH_NORM.made(
        momentum=kept(op.momentum),
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=initializer(op.init, "ones"),
    )
    return layer(make, here, weights=held(op.affine) | STATISTICS)


def kept(momentum: float) -> float:
    """Keras' momentum is the share of the old statistics that stays."""
    value: float = formula("1 - m", m=momentum)
    return value if abs(value - round(value, 12)) > 1e-15 else round(value, 12)


def dimensions(x: Operand, axes: tuple[str, ...]) -> tuple[Any, tuple[int, ...] | None]:
    """Where axes stand, counted from the end; and how weights that name them in order lie."""
    dims = tuple(d - x.layout.rank for d in x.dims(axes))
    order = tuple(axes.index(a) for a in x.order if a in axes)
    return dims if len(dims) > 1 else dims[0], None if order == tuple(range(len(axes))) else order


@emits(LayerNorm)
def layer_norm(op: LayerNorm, x: Operand, out: Tensor) -> Result:
    here = trailing(x, op.over)  # on PyTorch, Keras norms the last axes, whatever `axis` says
    axis, order = dimensions(here, op.over)
    make = LAYER_NORM.made(
        axis=axis,
        epsilon=op.epsilon,
        center=op.affine and op.bias,
        scale=op.affine,
        gamma_initializer=initializer(op.init, "ones"),
    )
    return layer(make, here, weights=held(op.affine, order, op.bias))


@emits(RmsNorm)
def rms_norm(op: RmsNorm, x: Operand, out: Tensor) -> Result:
    here = trailing(x, op.over)  # its scale meets the last axes, whatever `axis` says
    axis, order = dimensions(here, op.over)
    if not op.affine:
        return inline(RMS_NORMALIZATION(here.expr, axis=axis, epsilon=op.epsilon), here.layout)
    return layer(
        RMS_NORM.made(axis=axis, epsilon=op.epsilon), here, weights={"scale": Stored("scale", order)}
    )


@emits(GroupNorm, InstanceNorm)
def group_norm(op: GroupNorm | InstanceNorm, x: Operand, out: Tensor) -> Result:
    batched(x)
    axes = places(x.type, op.over)
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    here = unfolded(x, axes)
    here = here.to(*(a for a in here.order if a in axes), CHANNEL, folded=others)
    make = GROUP_NORM.made(
        groups=op.groups if isinstance(op, GroupNorm) else -1,  # a group for each channel
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=initializer(op.init, "ones"),
    )
    return layer(make, here, weights=held(op.affine))


@emits(LocalResponseNorm)
def local_response_norm(op: LocalResponseNorm, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a != CHANNEL), CHANNEL, folded=x.layout.folded)
    return layer(LOCAL_RESPONSE_NORM.made(op.size, alpha=op.alpha, beta=op.beta, k=op.k), here)

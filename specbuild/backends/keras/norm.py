"""Normalisation in Keras; epsilon and momentum are always written out."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import External, layer
from specbuild.backends.keras.base import emits
from specbuild.backends.keras.init import initializer
from specbuild.emit.lower import Operand, Result, Stored
from specbuild.ops.norm import BatchNorm, LayerNorm
from specbuild.words import formula

BATCH_NORM = External(
    "layers.BatchNormalization(momentum=0.99, epsilon=1e-3, center=True, scale=True, gamma_initializer='ones')"
)
LAYER_NORM = External("layers.LayerNormalization(axis=-1, epsilon=1e-3, center=True, scale=True, gamma_initializer='ones')")
AFFINE = {"scale": Stored("gamma"), "shift": Stored("beta")}
STATISTICS = {"mean": Stored("moving_mean"), "variance": Stored("moving_variance")}


@emits(BatchNorm)
def batch_norm(op: BatchNorm, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a != op.over), op.over, folded=x.layout.folded)
    make = BATCH_NORM.made(
        momentum=kept(op.momentum),
        epsilon=op.epsilon,
        center=op.affine,
        scale=op.affine,
        gamma_initializer=initializer(op.init, "ones"),
    )
    return layer(make, here, weights=(AFFINE if op.affine else {}) | STATISTICS)


def kept(momentum: float) -> float:
    """Keras' momentum is the share of the old statistics that stays."""
    value: float = formula("1 - m", m=momentum)
    return value if abs(value - round(value, 12)) > 1e-15 else round(value, 12)


@emits(LayerNorm)
def layer_norm(op: LayerNorm, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a not in op.over), *op.over, folded=x.layout.folded)
    n = len(op.over)
    make = LAYER_NORM.made(
        axis=-1 if n == 1 else tuple(range(-n, 0)),
        epsilon=op.epsilon,
        center=op.affine and op.bias,
        scale=op.affine,
        gamma_initializer=initializer(op.init, "ones"),
    )
    held = {} if not op.affine else AFFINE if op.bias else {"scale": AFFINE["scale"]}
    return layer(make, here, weights=held)

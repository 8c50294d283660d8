"""Normalisation in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import External, layer, scalar
from specbuild.backends.torch.base import emits
from specbuild.emit.lower import Operand, Result, Stored
from specbuild.ops.norm import BatchNorm, LayerNorm

BATCH_NORM = {n: External(f"nn.BatchNorm{n}d(num_features, eps=1e-5, momentum=0.1, affine=True)") for n in (1, 2, 3)}
LAYER_NORM = External("nn.LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True, bias=True)")
AFFINE = {"scale": Stored("weight"), "shift": Stored("bias")}
STATISTICS = {"mean": Stored("running_mean"), "variance": Stored("running_var")}


@emits(BatchNorm)
def batch_norm(op: BatchNorm, x: Operand, out: Tensor) -> Result:
    rest = tuple(a for a in x.order if a != op.over)
    folded = x.layout.folded
    if len(rest) > 3:
        rest, folded = rest[-3:], (*folded, *rest[:-3])
    here = x.to(op.over, *rest, folded=folded)
    make = BATCH_NORM[max(1, len(rest))].made(here[op.over], eps=op.epsilon, momentum=op.momentum, affine=op.affine)
    inits = (("weight", op.init),) if op.init and op.affine else ()
    return layer(make, here, inits=inits, weights=(AFFINE if op.affine else {}) | STATISTICS)


@emits(LayerNorm)
def layer_norm(op: LayerNorm, x: Operand, out: Tensor) -> Result:
    here = x.to(*(a for a in x.order if a not in op.over), *op.over, folded=x.layout.folded)
    shape = scalar(tuple(here[a] for a in op.over)) if len(op.over) == 1 else tuple(here[a] for a in op.over)
    make = LAYER_NORM.made(shape, eps=op.epsilon, elementwise_affine=op.affine, bias=op.bias)
    inits = (("weight", op.init),) if op.init and op.affine else ()
    held = {} if not op.affine else AFFINE if op.bias else {"scale": AFFINE["scale"]}
    return layer(make, here, inits=inits, weights=held)

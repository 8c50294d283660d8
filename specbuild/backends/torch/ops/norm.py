"""Normalisation in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specbuild.backends.align import batched, unfolded
from specbuild.backends.base import External, channels_first, layer
from specbuild.backends.torch.layout import emits, method
from specbuild.codegen.constructions import SELF
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Call
from specbuild.ops.attribute_kinds import Init
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

BATCH_NORM = {
    n: External(f"nn.BatchNorm{n}d(num_features, eps=1e-5, momentum=0.1, affine=True)") for n in (1, 2, 3)
}
INSTANCE_NORM = {
    n: External(f"nn.InstanceNorm{n}d(num_features, eps=1e-5, momentum=0.1, affine=False)") for n in (1, 2, 3)
}
LAYER_NORM = External("nn.LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True, bias=True)")
RMS_NORM = External("nn.RMSNorm(normalized_shape, eps=None, elementwise_affine=True)")
GROUP_NORM = External("nn.GroupNorm(num_groups, num_channels, eps=1e-5, affine=True)")
LOCAL_RESPONSE_NORM = External("nn.LocalResponseNorm(size, alpha=1e-4, beta=0.75, k=1.0)")
STATISTICS = {"mean": Stored("running_mean"), "variance": Stored("running_var")}


def held(affine: bool, order: tuple[int, ...] | None = None, bias: bool = True) -> dict[str, Stored]:
    """Where the learned scale and shift are kept."""
    scale = {"scale": Stored("weight", order)} if affine else {}
    return scale | ({"shift": Stored("bias", order)} if affine and bias else {})


def begins(init: Init | None, affine: bool) -> tuple[tuple[str, Init], ...]:
    return (("weight", init),) if init and affine else ()


@emits(BatchNorm)
def batch_norm(op: BatchNorm, x: Operand, out: Tensor) -> Result:
    x = unfolded(x, (op.over,))
    rest = tuple(a for a in x.order if a != op.over)
    folded = x.layout.folded
    if len(rest) > 3:
        rest, folded = rest[-3:], (*folded, *rest[:-3])
    here = x.to(op.over, *rest, folded=folded)
    norm = BATCH_NORM[max(1, len(rest))]
    make = norm.made(here[op.over], eps=op.epsilon, momentum=op.momentum, affine=op.affine)
    return layer(make, here, inits=begins(op.init, op.affine), weights=held(op.affine) | STATISTICS)


def last(x: Operand, axes: tuple[str, ...]) -> tuple[Operand, tuple[int, ...] | None]:
    """A value with these axes last, in whatever order; and how weights that name them in theirs lie."""
    here = unfolded(x, axes)
    if set(here.order[-len(axes) :]) != set(axes):
        here = here.to(*(a for a in here.order if a not in axes), *axes, folded=here.layout.folded)
    order = tuple(axes.index(a) for a in here.order[-len(axes) :])
    return here, None if order == tuple(range(len(axes))) else order


def normalized_shape(x: Operand, count: int) -> Any:
    sizes = tuple(x[a] for a in x.order[-count:])
    return sizes[0] if count == 1 else sizes


@emits(LayerNorm)
def layer_norm(op: LayerNorm, x: Operand, out: Tensor) -> Result:
    here, order = last(x, op.over)
    shape = normalized_shape(here, len(op.over))
    make = LAYER_NORM.made(shape, eps=op.epsilon, elementwise_affine=op.affine, bias=op.bias)
    return layer(make, here, inits=begins(op.init, op.affine), weights=held(op.affine, order, op.bias))


@emits(RmsNorm)
def rms_norm(op: RmsNorm, x: Operand, out: Tensor) -> Result:
    here, order = last(x, op.over)
    make = RMS_NORM.made(normalized_shape(here, len(op.over)), eps=op.epsilon, elementwise_affine=op.affine)
    return layer(make, here, weights=held(op.affine, order, bias=False))


def channels_and_places(x: Operand, axes: tuple[str, ...]) -> Operand:
    """A value with C first and these axes after it, all others folded into the batch."""
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    here = unfolded(x, axes)
    return here.to(*channels_first(tuple(a for a in here.order if a not in others)), folded=others)


@emits(GroupNorm)
def group_norm(op: GroupNorm, x: Operand, out: Tensor) -> Result:
    batched(x)
    here = channels_and_places(x, places(x.type, op.over))
    make = GROUP_NORM.made(op.groups, here[CHANNEL], eps=op.epsilon, affine=op.affine)
    made = layer(make, here, inits=begins(op.init, op.affine), weights=held(op.affine))
    if here.layout == x.layout or here.layout.rank < 4:
        return made
    # on a CPU its backward crashes (2.13) if what it is given lies channels last and needs no gradient
    return replace(made, call=Call(SELF, (method(here.expr, "contiguous"),)))


@emits(InstanceNorm)
def instance_norm(op: InstanceNorm, x: Operand, out: Tensor) -> Result:
    batched(x)
    axes = places(x.type, op.over)
    if len(axes) > 3:
        raise Unsupported(
            "it has instance norms over at most three axes", "`group_norm` with a group for each channel"
        )
    here = channels_and_places(x, axes)
    make = INSTANCE_NORM[len(axes)].made(here[CHANNEL], eps=op.epsilon, affine=op.affine)
    return layer(make, here, inits=begins(op.init, op.affine), weights=held(op.affine))


@emits(LocalResponseNorm)
def local_response_norm(op: LocalResponseNorm, x: Operand, out: Tensor) -> Result:
    batched(x)
    here = x.to(*channels_first(x.order), folded=x.layout.folded)
    made = layer(LOCAL_RESPONSE_NORM.made(op.size, alpha=op.alpha, beta=op.beta, k=op.k), here)
    if here.layout.rank <= 4:
        return made
    # of more axes it takes a view, which not every order in memory has
    return replace(made, call=Call(SELF, (method(here.expr, "contiguous"),)))

"""Normalisation in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specbuild.backends.align import require_batch, unfold_axes
from specbuild.backends.base import Signature, channels_first_order, layer_result
from specbuild.backends.torch.layout import call_method, emits
from specbuild.codegen.constructions import SELF
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Call
from specbuild.ops.attribute_kinds import Init
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

BATCH_NORM = {
    n: Signature(f"nn.BatchNorm{n}d(num_features, eps=1e-5, momentum=0.1, affine=True)") for n in (1, 2, 3)
}
INSTANCE_NORM = {
    n: Signature(f"nn.InstanceNorm{n}d(num_features, eps=1e-5, momentum=0.1, affine=False)")
    for n in (1, 2, 3)
}
LAYER_NORM = Signature("nn.LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True, bias=True)")
RMS_NORM = Signature("nn.RMSNorm(normalized_shape, eps=None, elementwise_affine=True)")
GROUP_NORM = Signature("nn.GroupNorm(num_groups, num_channels, eps=1e-5, affine=True)")
LOCAL_RESPONSE_NORM = Signature("nn.LocalResponseNorm(size, alpha=1e-4, beta=0.75, k=1.0)")
STATISTICS = {"mean": Storage("running_mean"), "variance": Storage("running_var")}


def affine_storage(
    affine: bool, order: tuple[int, ...] | None = None, bias: bool = True
) -> dict[str, Storage]:
    """Where the learned scale and shift are kept."""
    scale = {"scale": Storage("weight", order)} if affine else {}
    return scale | ({"shift": Storage("bias", order)} if affine and bias else {})


def scale_inits(init: Init | None, affine: bool) -> tuple[tuple[str, Init], ...]:
    return (("weight", init),) if init and affine else ()


@emits(BatchNorm)
def emit_batch_norm(op: BatchNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    rest = tuple(a for a in x.order if a != op.over)
    folded = x.layout.folded
    if len(rest) > 3:
        rest, folded = rest[-3:], (*folded, *rest[:-3])
    here = x.to_order(op.over, *rest, folded=folded)
    norm = BATCH_NORM[max(1, len(rest))]
    make = norm.construct(here[op.over], eps=op.epsilon, momentum=op.momentum, affine=op.affine)
    return layer_result(
        make, here, inits=scale_inits(op.init, op.affine), weights=affine_storage(op.affine) | STATISTICS
    )


def move_axes_last(x: Operand, axes: tuple[str, ...]) -> tuple[Operand, tuple[int, ...] | None]:
    """A value with these axes last, in whatever order; and how weights that name them in theirs lie."""
    here = unfold_axes(x, axes)
    if set(here.order[-len(axes) :]) != set(axes):
        here = here.to_order(*(a for a in here.order if a not in axes), *axes, folded=here.layout.folded)
    order = tuple(axes.index(a) for a in here.order[-len(axes) :])
    return here, None if order == tuple(range(len(axes))) else order


def normalized_shape(x: Operand, count: int) -> Any:
    sizes = tuple(x[a] for a in x.order[-count:])
    return sizes[0] if count == 1 else sizes


@emits(LayerNorm)
def emit_layer_norm(op: LayerNorm, x: Operand, out: TensorType) -> LoweringResult:
    here, order = move_axes_last(x, op.over)
    shape = normalized_shape(here, len(op.over))
    make = LAYER_NORM.construct(shape, eps=op.epsilon, elementwise_affine=op.affine, bias=op.bias)
    return layer_result(
        make, here, inits=scale_inits(op.init, op.affine), weights=affine_storage(op.affine, order, op.bias)
    )


@emits(RmsNorm)
def emit_rms_norm(op: RmsNorm, x: Operand, out: TensorType) -> LoweringResult:
    here, order = move_axes_last(x, op.over)
    make = RMS_NORM.construct(
        normalized_shape(here, len(op.over)), eps=op.epsilon, elementwise_affine=op.affine
    )
    return layer_result(make, here, weights=affine_storage(op.affine, order, bias=False))


def arrange_channels_first(x: Operand, axes: tuple[str, ...]) -> Operand:
    """A value with C first and these axes after it, all others folded into the batch."""
    others = tuple(a for a in (*x.layout.folded, *x.order) if a != CHANNEL and a not in axes)
    here = unfold_axes(x, axes)
    return here.to_order(
        *channels_first_order(tuple(a for a in here.order if a not in others)), folded=others
    )


@emits(GroupNorm)
def emit_group_norm(op: GroupNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    here = arrange_channels_first(x, position_axes(x.type, op.over))
    make = GROUP_NORM.construct(op.groups, here[CHANNEL], eps=op.epsilon, affine=op.affine)
    made = layer_result(make, here, inits=scale_inits(op.init, op.affine), weights=affine_storage(op.affine))
    if here.layout == x.layout or here.layout.rank < 4:
        return made
    # on a CPU its backward crashes (2.13) if what it is given lies channels last and needs no gradient
    return replace(made, call=Call(SELF, (call_method(here.expr, "contiguous"),)))


@emits(InstanceNorm)
def emit_instance_norm(op: InstanceNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    axes = position_axes(x.type, op.over)
    if len(axes) > 3:
        raise UnsupportedOp(
            "it has instance norms over at most three axes", "`group_norm` with a group for each channel"
        )
    here = arrange_channels_first(x, axes)
    make = INSTANCE_NORM[len(axes)].construct(here[CHANNEL], eps=op.epsilon, affine=op.affine)
    return layer_result(make, here, inits=scale_inits(op.init, op.affine), weights=affine_storage(op.affine))


@emits(LocalResponseNorm)
def emit_local_response_norm(op: LocalResponseNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    here = x.to_order(*channels_first_order(x.order), folded=x.layout.folded)
    made = layer_result(LOCAL_RESPONSE_NORM.construct(op.size, alpha=op.alpha, beta=op.beta, k=op.k), here)
    if here.layout.rank <= 4:
        return made
    # of more axes it takes a view, which not every order in memory has
    return replace(made, call=Call(SELF, (call_method(here.expr, "contiguous"),)))

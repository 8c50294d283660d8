"""Normalization in PyTorch."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from specbuild.backends.align import move_axes_last, require_batch, unfold_axes, weight_order
from specbuild.backends.base import layer_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.lowered_steps import LoweringResult, Storage, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call
from specbuild.ops.initializers import Init
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
    """Return where PyTorch stores the scale and shift of a norm; none if it is not `affine`."""
    scale = {"scale": Storage("weight", order)} if affine else {}
    return scale | ({"shift": Storage("bias", order)} if affine and bias else {})


def scale_inits(init: Init | None, affine: bool) -> tuple[tuple[str, Init], ...]:
    return (("weight", init),) if init and affine else ()


@emits(BatchNorm)
def emit_batch_norm(op: BatchNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    rest = tuple(a for a in x.order if a != op.over)
    batch_axes = x.layout.batch_axes
    if len(rest) > 3:
        rest, batch_axes = rest[-3:], (*batch_axes, *rest[:-3])
    x = x.to_order(op.over, *rest, batch_axes=batch_axes)
    norm = BATCH_NORM[max(1, len(rest))]
    layer = norm.construct(x[op.over], eps=op.epsilon, momentum=op.momentum, affine=op.affine)
    weights = affine_storage(op.affine) | STATISTICS
    return layer_result(layer, x, inits=scale_inits(op.init, op.affine), weights=weights)


def normalized_shape(x: Operand, count: int) -> Any:
    sizes = tuple(x[a] for a in x.order[-count:])
    return sizes[0] if count == 1 else sizes


@emits(LayerNorm)
def emit_layer_norm(op: LayerNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = move_axes_last(x, op.over)
    shape = normalized_shape(x, len(op.over))
    layer = LAYER_NORM.construct(shape, eps=op.epsilon, elementwise_affine=op.affine, bias=op.bias)
    weights = affine_storage(op.affine, weight_order(x, op.over), op.bias)
    return layer_result(layer, x, inits=scale_inits(op.init, op.affine), weights=weights)


@emits(RmsNorm)
def emit_rms_norm(op: RmsNorm, x: Operand, out: TensorType) -> LoweringResult:
    x = move_axes_last(x, op.over)
    shape = normalized_shape(x, len(op.over))
    layer = RMS_NORM.construct(shape, eps=op.epsilon, elementwise_affine=op.affine)
    return layer_result(layer, x, weights=affine_storage(op.affine, weight_order(x, op.over), bias=False))


def arrange_channels_first(x: Operand, axes: tuple[str, ...]) -> Operand:
    """Return an operand with C first, then these axes. All others are folded into the batch."""
    batch_axes = tuple(a for a in (*x.layout.batch_axes, *x.order) if a != CHANNEL and a not in axes)
    x = unfold_axes(x, axes)
    return x.to_order(
        CHANNEL, *(a for a in x.order if a != CHANNEL and a not in batch_axes), batch_axes=batch_axes
    )


@emits(GroupNorm)
def emit_group_norm(op: GroupNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    arranged = arrange_channels_first(x, position_axes(x.type, op.over))
    layer = GROUP_NORM.construct(op.groups, arranged[CHANNEL], eps=op.epsilon, affine=op.affine)
    inits, weights = scale_inits(op.init, op.affine), affine_storage(op.affine)
    result = layer_result(layer, arranged, inits=inits, weights=weights)
    if arranged.layout == x.layout or arranged.layout.rank < 4:
        return result
    # PyTorch 2.13 on a CPU crashes in the backward pass for a channels-last input that needs no gradient
    return replace(result, call=Call(OWN_MEMBER, (call_method(arranged.expr, "contiguous"),)))


@emits(InstanceNorm)
def emit_instance_norm(op: InstanceNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    axes = position_axes(x.type, op.over)
    if len(axes) > 3:
        raise UnsupportedOp(
            "its instance norm covers at most three axes",
            "use `group_norm` with one group for each channel",
        )
    x = arrange_channels_first(x, axes)
    layer = INSTANCE_NORM[len(axes)].construct(x[CHANNEL], eps=op.epsilon, affine=op.affine)
    return layer_result(layer, x, inits=scale_inits(op.init, op.affine), weights=affine_storage(op.affine))


@emits(LocalResponseNorm)
def emit_local_response_norm(op: LocalResponseNorm, x: Operand, out: TensorType) -> LoweringResult:
    require_batch(x)
    x = unfold_axes(x, (CHANNEL,))
    x = x.to_order(CHANNEL, *(a for a in x.order if a != CHANNEL), batch_axes=x.layout.batch_axes)
    result = layer_result(LOCAL_RESPONSE_NORM.construct(op.size, alpha=op.alpha, beta=op.beta, k=op.k), x)
    if x.layout.rank <= 4:
        return result
    # for more axes PyTorch needs a view, which some memory layouts do not allow
    return replace(result, call=Call(OWN_MEMBER, (call_method(x.expr, "contiguous"),)))

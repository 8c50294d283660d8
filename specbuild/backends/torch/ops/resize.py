"""Resizing in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import list_other_axes, unfold_axes
from specbuild.backends.base import collapse_equal, inline_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import emits
from specbuild.backends.torch.ops.convolution import arrange_window_axes
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Expr, Index, Literal, SliceExpr, TupleOf
from specbuild.ops.resize import PixelShuffle, PixelUnshuffle, Resize
from specbuild.ops.types import CHANNEL, TensorType

INTERPOLATE = Signature(
    "F.interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None)"
)
UPSAMPLE = Signature(
    "nn.Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None)"
)
SHUFFLES = {
    PixelShuffle: (
        Signature("F.pixel_shuffle(input, upscale_factor)"),
        Signature("nn.PixelShuffle(upscale_factor)"),
    ),
    PixelUnshuffle: (
        Signature("F.pixel_unshuffle(input, downscale_factor)"),
        Signature("nn.PixelUnshuffle(downscale_factor)"),
    ),
}
LINEAR_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def arrange_image_axes(x: Operand, axes: tuple[str, ...]) -> tuple[Expr, Layout]:
    """Return the input of a resize: a batch, C and the resized axes; and its layout.

    A value without a batch gets a batch of size 1. Raises UnsupportedOp if it has other axes besides C.
    """
    if x.layout.batched:
        x = arrange_window_axes(x, axes)
        return x.expr, x.layout
    others = list_other_axes(x, axes)
    x = x.to_order(*others, *axes)
    return Index(x.expr, (Literal(None),)), x.layout


def size_expression(like: Operand, axes: tuple[str, ...]) -> Expr:
    """Return the sizes of these axes, read from the shape of a value."""
    like = unfold_axes(like, axes)
    shape = Attribute(like.expr, "shape")
    if like.order[-len(axes) :] == axes:
        return Index(shape, (SliceExpr(Literal(-len(axes))),))
    return TupleOf(tuple(Index(shape, (Literal(like.dim(a)),)) for a in axes))


@emits(Resize)
def emit_resize(op: Resize, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    axes = op.resized_axes(x.type)
    value, layout = arrange_image_axes(x, axes)
    arguments = resize_arguments(op, x, like, axes)
    if op.mode.startswith("bi"):
        arguments["mode"] = LINEAR_MODES[len(axes)] if op.mode == "bilinear" else op.mode
        arguments["align_corners"] = op.align_corners
    else:
        arguments["mode"] = op.mode.replace("_", "-")
    code: Expr = INTERPOLATE(value, **arguments)
    if not layout.batched:
        return inline_result(Index(code, (Literal(0),)), layout)
    return inline_result(code, layout, UPSAMPLE.construct(**arguments) if like is None else None)


def resize_arguments(op: Resize, x: Operand, like: Operand | None, axes: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of `F.interpolate` for the output size."""
    if like is not None:
        return {"size": size_expression(like, axes)}
    if op.size is not None:
        return {"size": collapse_equal(op.output_sizes(x.type))}
    scales = op.axis_scales(x.type)
    if all(isinstance(s, int) for s in scales):
        return {"scale_factor": collapse_equal(scales)}
    # sample positions follow from the sizes, which are rounded, and not from the scale
    return {"scale_factor": collapse_equal(scales), "recompute_scale_factor": True}


@emits(PixelShuffle, PixelUnshuffle)
def emit_pixel_shuffle(op: PixelShuffle | PixelUnshuffle, x: Operand, out: TensorType) -> LoweringResult:
    x = arrange_window_axes(x, op.shuffled_axes(x.type))
    function, module = SHUFFLES[type(op)]
    assert x.order[0] == CHANNEL
    return inline_result(function(x.expr, op.factor), x.layout, module.construct(op.factor))

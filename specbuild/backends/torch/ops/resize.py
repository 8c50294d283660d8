"""Resizing in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.backends.base import Signature, collapse_equal, inline_result
from specbuild.backends.torch.layout import emits
from specbuild.backends.torch.ops.convolution import arrange_window_axes
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Attribute, Expr, Index, Literal, Slice, TupleOf
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
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def arrange_image_axes(x: Operand, axes: tuple[str, ...]) -> tuple[Expr, Layout]:
    """The operand with a batch, C and the axes that are resized, and how it lies; a table gets a batch of one."""
    if x.layout.batched:
        here = arrange_window_axes(x, axes)
        return here.expr, here.layout
    others = [a for a in x.order if a not in axes]
    if len(others) > 1:
        raise UnsupportedOp(
            f"{x.type} without a batch has more than one axis beside those", "flatten the others before"
        )
    here = x.to_order(*others, *axes)
    return Index(here.expr, (Literal(None),)), here.layout


def size_expression(like: Operand, axes: tuple[str, ...]) -> Expr:
    """The sizes of these axes, read off a value."""
    here = like.unfold_axes() if any(a in like.layout.folded for a in axes) else like
    shape = Attribute(here.expr, "shape")
    if here.order[-len(axes) :] == axes:
        return Index(shape, (Slice(Literal(-len(axes))),))
    return TupleOf(tuple(Index(shape, (Literal(here.dim(a)),)) for a in axes))


@emits(Resize)
def emit_resize(op: Resize, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    axes = op.resized_axes(x.type)
    value, layout = arrange_image_axes(x, axes)
    how: dict[str, Any] = {"mode": op.mode.replace("_", "-")}
    if op.mode.startswith("bi"):
        how = {
            "mode": LINEAR[len(axes)] if op.mode == "bilinear" else op.mode,
            "align_corners": op.align_corners,
        }
    if like is not None:
        size: dict[str, Any] = {"size": size_expression(like, axes)}
    elif op.size is not None:
        size = {"size": collapse_equal(op.output_sizes(x.type))}
    else:
        scales = op.axis_scales(x.type)
        size = {"scale_factor": collapse_equal(scales)}
        if not all(isinstance(s, int) for s in scales):
            size["recompute_scale_factor"] = True  # places follow from the sizes, not from the scale
    call: Expr = INTERPOLATE(value, **size, **how)
    call = call if layout.batched else Index(call, (Literal(0),))
    return inline_result(
        call, layout, UPSAMPLE.construct(**size, **how) if layout.batched and like is None else None
    )


@emits(PixelShuffle, PixelUnshuffle)
def emit_pixel_shuffle(op: PixelShuffle | PixelUnshuffle, x: Operand, out: TensorType) -> LoweringResult:
    here = arrange_window_axes(x, op.shuffled_axes(x.type))
    function, module = SHUFFLES[type(op)]
    assert here.order[0] == CHANNEL
    return inline_result(function(here.expr, op.factor), here.layout, module.construct(op.factor))

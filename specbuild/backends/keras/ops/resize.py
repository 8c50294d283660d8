"""Resizing in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.base import Signature, collapse_equal, inline_result, layer_result
from specbuild.backends.keras.layout import call_function, emits
from specbuild.backends.keras.ops.convolution import arrange_window_axes
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name, Slice, TupleOf
from specbuild.ops.resize import PixelShuffle, PixelUnshuffle, Resize
from specbuild.ops.types import TensorType

UP_SAMPLING = {n: Signature(f"layers.UpSampling{n}D(size)") for n in (1, 2, 3)}
# Keras' own ops.image.resize is in float32, and TensorFlow's XLA gets it wrong for many pairs of sizes (5 to 9, say)
RESIZE = Signature("ops.image.resize(images, size, interpolation='bilinear')")
RESIZE = Signature("resize(x, size, mode='nearest', align_corners=False)")


def arrange_image_axes(x: Operand, axes: tuple[str, ...]) -> tuple[Expr, Layout]:
    """The operand with a batch, the axes that are resized and C, and how it lies; a table gets a batch of one."""
    if x.layout.batched:
        here = arrange_window_axes(x, axes)
        return here.expr, here.layout
    others = [a for a in x.order if a not in axes]
    if len(others) > 1:
        raise UnsupportedOp(
            f"{x.type} without a batch has more than one axis beside those", "flatten the others before"
        )
    here = x.to_order(*axes, *others)
    return call_function("ops.expand_dims", here.expr, axis=0), here.layout


def size_expression(like: Operand, axes: tuple[str, ...]) -> Expr:
    """The sizes of these axes, read off a value."""
    here = like.unfold_axes() if any(a in like.layout.folded for a in axes) else like
    shape, dims = Attribute(here.expr, "shape"), tuple(here.dim(a) for a in axes)
    if len(axes) > 1 and dims == tuple(range(dims[0], dims[0] + len(dims))):
        return Index(
            shape,
            (
                Slice(
                    Literal(dims[0]),
                    Literal(-1) if dims[-1] == here.layout.rank - 2 else literal_expression(dims[-1] + 1),
                ),
            ),
        )
    return TupleOf(tuple(Index(shape, (Literal(d),)) for d in dims))


def scale_sizes(x: Operand, axes: tuple[str, ...], scales: tuple[float, ...]) -> Expr:
    """The sizes of these axes times a factor each, rounded down."""
    sizes = []
    for axis, scale in zip(axes, scales, strict=True):
        longer = Infix(
            "*", literal_expression(scale), Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        )
        sizes.append(longer if isinstance(scale, int) else Call(Name("int"), (longer,)))
    return TupleOf(tuple(sizes))


@emits(Resize)
def emit_resize(op: Resize, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    axes = op.resized_axes(x.type)
    n = len(axes)
    whole = op.scale is not None and all(isinstance(s, int) for s in op.axis_scales(x.type))
    if whole and x.layout.batched and op.mode.startswith("nearest"):
        return layer_result(
            UP_SAMPLING[n].construct(collapse_equal(op.axis_scales(x.type))), arrange_window_axes(x, axes)
        )
    value, layout = arrange_image_axes(x, axes)
    if like is not None:
        size = size_expression(like, axes)
    elif op.size is not None:
        size = literal_expression(op.output_sizes(x.type))
    else:
        size = scale_sizes(
            arrange_window_axes(x, axes) if layout.batched else x.to_order(*layout.order),
            axes,
            op.axis_scales(x.type),
        )
    how: dict[str, Any] = {"mode": op.mode.removeprefix("bi")}
    if op.align_corners:
        how["align_corners"] = True
    result: Expr = RESIZE(value, size, **how)
    return inline_result(result if layout.batched else Index(result, (Literal(0),)), layout)


@emits(PixelShuffle, PixelUnshuffle)
def emit_pixel_shuffle(op: PixelShuffle | PixelUnshuffle, x: Operand, out: TensorType) -> LoweringResult:
    here = arrange_window_axes(x, op.shuffled_axes(x.type))
    return inline_result(call_function(op.name, here.expr, op.factor), here.layout)

"""Resizing in Keras."""

from __future__ import annotations

from specbuild.backends.align import list_other_axes, unfold_axes
from specbuild.backends.base import collapse_equal, inline_result, layer_result
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.ops.convolution import arrange_window_axes
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Infix, Literal, Name, SliceExpr, TupleOf
from specbuild.ops.resize import PixelShuffle, PixelUnshuffle, Resize
from specbuild.ops.types import TensorType

UP_SAMPLING = {n: Signature(f"layers.UpSampling{n}D(size)") for n in (1, 2, 3)}
# A helper: ops.image.resize computes in float32, and TensorFlow's XLA gets many sizes wrong (such as 5 to 9).
RESIZE = Signature("resize(x, size, mode='nearest', align_corners=False)")


def arrange_image_axes(x: Operand, axes: tuple[str, ...]) -> tuple[Expr, Layout]:
    """Return the input of a resize: a batch, the resized axes and C; and its layout.

    A value without a batch gets a batch of size 1. Raises UnsupportedOp if it has other axes besides C.
    """
    if x.layout.batched:
        x = arrange_window_axes(x, axes)
        return x.expr, x.layout
    others = list_other_axes(x, axes)
    x = x.to_order(*axes, *others)
    return call_function("ops.expand_dims", x.expr, axis=0), x.layout


HALVINGS = {1 / 2**n: 2**n for n in range(1, 11)}  # factors whose inverse is exact, and an integer


def size_expression(like: Operand, axes: tuple[str, ...]) -> Expr:
    """Return the sizes of these axes, read from the shape of a value."""
    like = unfold_axes(like, axes)
    shape, dims = Attribute(like.expr, "shape"), tuple(like.dim(a) for a in axes)
    if len(axes) == 1 or dims != tuple(range(dims[0], dims[0] + len(dims))):
        return TupleOf(tuple(Index(shape, (Literal(d),)) for d in dims))
    end = -1 if dims[-1] == like.layout.rank - 2 else dims[-1] + 1
    return Index(shape, (SliceExpr(Literal(dims[0]), Literal(end)),))


def scale_sizes(x: Operand, axes: tuple[str, ...], scales: tuple[float, ...]) -> Expr:
    """Return the sizes of these axes times a factor for each, rounded down."""
    sizes = []
    for axis, scale in zip(axes, scales, strict=True):
        size = Index(Attribute(x.expr, "shape"), (Literal(x.dim(axis)),))
        sizes.append(multiply_size(size, scale))
    return TupleOf(tuple(sizes))


def multiply_size(size: Expr, scale: float) -> Expr:
    """Return a size times a factor, rounded down; `size // 2` for a half is the same number."""
    if not isinstance(scale, int) and scale in HALVINGS:
        return Infix("//", size, literal_expression(HALVINGS[scale]))
    product = Infix("*", literal_expression(scale), size)
    return product if isinstance(scale, int) else Call(Name("int"), (product,))


@emits(Resize)
def emit_resize(op: Resize, x: Operand, like: Operand | None, out: TensorType) -> LoweringResult:
    axes = op.resized_axes(x.type)
    has_whole_scale = op.scale is not None and all(isinstance(s, int) for s in op.axis_scales(x.type))
    if has_whole_scale and x.layout.batched and op.mode.startswith("nearest"):
        layer = UP_SAMPLING[len(axes)].construct(collapse_equal(op.axis_scales(x.type)))
        return layer_result(layer, arrange_window_axes(x, axes))
    value, layout = arrange_image_axes(x, axes)
    if like is not None:
        size = size_expression(like, axes)
    elif op.size is not None:
        size = literal_expression(op.output_sizes(x.type))
    else:
        arranged = arrange_window_axes(x, axes) if layout.batched else x.to_order(*layout.order)
        size = scale_sizes(arranged, axes, op.axis_scales(x.type))
    code: Expr = RESIZE(value, size, mode=op.mode.removeprefix("bi"), align_corners=bool(op.align_corners))
    return inline_result(code if layout.batched else Index(code, (Literal(0),)), layout)


@emits(PixelShuffle, PixelUnshuffle)
def emit_pixel_shuffle(op: PixelShuffle | PixelUnshuffle, x: Operand, out: TensorType) -> LoweringResult:
    x = arrange_window_axes(x, op.shuffled_axes(x.type))
    return inline_result(call_function(op.name, x.expr, op.factor), x.layout)

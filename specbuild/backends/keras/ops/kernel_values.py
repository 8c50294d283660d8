"""Convolutions and linear maps with kernels that are values, in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import collapse_equal, inline_result, is_fixed
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.ops.convolution import arrange_window_axes, pad_window
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Infix, Literal, Name, SliceExpr
from specbuild.ops.kernel_values import KernelConv, KernelLinear
from specbuild.ops.types import TensorType
from specbuild.ops.window import SlidingWindow

CONV = Signature("ops.conv(inputs, kernel, strides=1, padding='valid', dilation_rate=1)")
CONV_BY_PLACE = Signature("conv_by_place(x, kernel, strides, dilation_rate, groups=1)")


@emits(KernelConv)
def emit_kernel_conv(
    op: KernelConv, x: Operand, weight: Operand, bias: Operand | None, out: TensorType
) -> LoweringResult:
    window = op.sliding_window(x.type, weight.type)
    x = arrange_window_axes(x, window.axes)
    weight = weight.to_order(*window.axes, op.inputs, op.outputs)
    # Keras does not combine stride and dilation, and TensorFlow computes groups only where it can compile
    is_plain = (
        not weight.layout.batched
        and is_fixed(op.groups, 1)
        and (all(is_fixed(n, 1) for n in window.stride) or all(is_fixed(n, 1) for n in window.dilation))
    )
    if weight.layout.batched and x.layout.batch_axes:
        raise UnsupportedOp("its kernels are those of samples, and the input has other axes")
    if is_plain:
        padding = "same" if window.pads is None else "valid"
        code: Expr = CONV(
            pad_input(op, x, window),
            weight.expr,
            strides=collapse_equal(window.stride),
            padding=padding,
            dilation_rate=collapse_equal(window.dilation),
        )
    elif window.pads is None:
        reason = "it has no tf_same for a kernel that is a value, with groups or with a batch"
        raise UnsupportedOp(reason, "give the padding as numbers")
    else:
        code = CONV_BY_PLACE(
            pad_input(op, x, window), weight.expr, window.stride, window.dilation, groups=op.groups
        )
    return inline_result(add_bias(code, bias, len(window.axes)), x.layout)


def pad_input(op: KernelConv, x: Operand, window: SlidingWindow) -> Expr:
    """Return the padded input."""
    if window.pads is None or all(is_fixed(n, 0) for pair in window.pads for n in pair):
        return x.expr
    if op.padding_mode != "zeros":
        return pad_window(x, window, op.padding_mode)
    return call_function("ops.pad", x.expr, ((0, 0), *window.pads, (0, 0)))


def add_bias(code: Expr, bias: Operand | None, axes: int) -> Expr:
    """Return a result with so many axes between batch and outputs, with its bias added."""
    if bias is None:
        return code
    if not bias.layout.batched or not axes:
        return Infix("+", code, bias.expr)
    return Infix("+", code, Index(bias.expr, (SliceExpr(), *[Literal(None)] * axes)))


@emits(KernelLinear)
def emit_kernel_linear(
    op: KernelLinear, x: Operand, weight: Operand, bias: Operand | None, out: TensorType
) -> LoweringResult:
    is_shared = not weight.layout.batched and (bias is None or not bias.layout.batched)
    x = unfold_axes(x, (op.over,)) if is_shared else x.unfold_axes()
    others = tuple(a for a in x.order if a != op.over)
    x = x.to_order(*others, op.over, batch_axes=x.layout.batch_axes)
    weight = weight.to_order(op.inputs, op.outputs)
    if weight.layout.batched:
        lead = "b" if x.layout.batched else ""
        equation = literal_expression(f"{lead}...i,bio->b...o")
        code: Expr = Call(Name("ops.einsum"), (equation, x.expr, weight.expr))
    else:
        code = call_function("ops.matmul", x.expr, weight.expr)
    layout = Layout(x.order, x.layout.batch_axes, out.batched)
    return inline_result(add_bias(code, bias, len(others)), layout)

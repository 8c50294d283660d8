"""Convolutions and linear maps with kernels that are values, in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import collapse_equal, inline_result
from specbuild.backends.signatures import Signature, call_method
from specbuild.backends.torch.framework import emits
from specbuild.backends.torch.ops.convolution import arrange_window_axes, pad_window, symmetric_padding
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Infix, Literal, Name, SliceExpr
from specbuild.ops.kernel_values import KernelConv, KernelLinear
from specbuild.ops.types import TensorType

CONV = {
    n: Signature(
        f"F.conv{n}d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    )
    for n in (1, 2, 3)
}
CONV_EACH = Signature("conv_each(x, weight, stride, padding, dilation, groups=1)")


@emits(KernelConv)
def emit_kernel_conv(
    op: KernelConv, x: Operand, weight: Operand, bias: Operand | None, out: TensorType
) -> LoweringResult:
    window = op.sliding_window(x.type, weight.type)
    x = arrange_window_axes(x, window.axes)
    given, weight = weight.expr, weight.to_order(op.outputs, op.inputs, *window.axes)
    # in float64 on a CPU, PyTorch 2.13 has no gradient of a kernel that is a view in another order
    kernel = weight.expr if weight.expr == given else call_method(weight.expr, "contiguous")
    padding = symmetric_padding(window) if op.padding_mode == "zeros" else None
    padded = x.expr if padding is not None else pad_window(x.expr, window, op.padding_mode)
    padding = 0 if padding is None else padding
    if not weight.layout.batched:
        is_shared = bias is None or not bias.layout.batched
        code = CONV[len(window.axes)](
            padded,
            kernel,
            bias=bias.expr if bias is not None and is_shared else None,
            stride=collapse_equal(window.stride),
            padding=padding,
            dilation=collapse_equal(window.dilation),
            groups=op.groups,
        )
        return inline_result(code if is_shared else add_bias(code, bias, len(window.axes)), x.layout)
    refuse_folded_axes(x)
    pads = padding if isinstance(padding, tuple) else (padding,) * len(window.axes)
    code = CONV_EACH(padded, weight.expr, window.stride, pads, window.dilation, groups=op.groups)
    return inline_result(add_bias(code, bias, len(window.axes)), x.layout)


def refuse_folded_axes(x: Operand) -> None:
    """Raise UnsupportedOp if the batch of the input is not that of the kernels."""
    if x.layout.batch_axes:
        raise UnsupportedOp("its kernels are those of samples, and the input has other axes")


def add_bias(code: Expr, bias: Operand | None, axes: int) -> Expr:
    """Return the result of a convolution over so many axes with its bias added."""
    if bias is None:
        return code
    whole = (SliceExpr(),) * (1 + bias.layout.batched)
    return Infix("+", code, Index(bias.expr, (*whole, *[Literal(None)] * axes)))


@emits(KernelLinear)
def emit_kernel_linear(
    op: KernelLinear, x: Operand, weight: Operand, bias: Operand | None, out: TensorType
) -> LoweringResult:
    is_shared = not weight.layout.batched and (bias is None or not bias.layout.batched)
    x = unfold_axes(x, (op.over,)) if is_shared else x.unfold_axes()
    others = tuple(a for a in x.order if a != op.over)
    x = x.to_order(*others, op.over, batch_axes=x.layout.batch_axes)
    weight = weight.to_order(op.outputs, op.inputs)
    if is_shared:
        arguments = (x.expr, weight.expr, *([bias.expr] if bias is not None else []))
        return inline_result(Call(Name("F.linear"), arguments), x.layout)
    lead, each = "b" if x.layout.batched else "", "b" if weight.layout.batched else ""
    equation = f"{lead}...i,{each}oi->b...o"
    code: Expr = Call(Name("torch.einsum"), (Literal(equation), x.expr, weight.expr))
    if lead + each == "":
        code = Call(Name("F.linear"), (x.expr, weight.expr))
    if bias is not None and bias.layout.batched:
        code = Infix("+", code, Index(bias.expr, (SliceExpr(), *[Literal(None)] * len(others))))
    elif bias is not None:
        code = Infix("+", code, bias.expr)
    return inline_result(code, Layout(x.order, (), True))

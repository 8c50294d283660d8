"""Convolutions and linear maps in Keras."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from msgspec.structs import replace

from specbuild.backends.align import split_window_axes, unfold_axes
from specbuild.backends.base import collapse_equal, is_fixed, layer_result
from specbuild.backends.indexing import NEW_AXIS, WHOLE_AXIS
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.initializers import emit_initializer, emit_wrapped_initializer
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import OWN_MEMBER, Construction, literal_expression
from specbuild.codegen.lowered_steps import LoweringResult, Storage, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Literal, Prefix, SliceExpr
from specbuild.expressions import (
    Expression,
    concrete,
    expression_of,
    from_tree,
    symbolic,
    symbolic_formula,
)
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.window import SlidingWindow

WEIGHT_PARAMETERS = "use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros'"
WINDOW_PARAMETERS = "strides=1, padding='valid', dilation_rate=1"
CONV = {
    n: Signature(f"layers.Conv{n}D(filters, kernel_size, {WINDOW_PARAMETERS}, groups=1, {WEIGHT_PARAMETERS})")
    for n in (1, 2, 3)
}
DEPTHWISE = {
    n: Signature(
        f"layers.DepthwiseConv{n}D(kernel_size, strides=1, padding='valid', depth_multiplier=1, dilation_rate=1, "
        "use_bias=True, depthwise_initializer='glorot_uniform', bias_initializer='zeros')"
    )
    for n in (1, 2)
}
CONV_TRANSPOSE = {
    n: Signature(
        f"layers.Conv{n}DTranspose(filters, kernel_size, strides=1, padding='valid', output_padding=None, {WEIGHT_PARAMETERS})"
    )
    for n in (1, 2, 3)
}
GROUPED_CONV_TRANSPOSE = Signature(
    "GroupedConvTranspose(filters, kernel_size, strides=1, padding=0, output_padding=0, dilation_rate=1, groups=1, "
    f"{WEIGHT_PARAMETERS})"
)
DENSE = Signature(
    "layers.Dense(units, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros')"
)


def arrange_window_axes(x: Operand, axes: tuple[str, ...], *more: str) -> Operand:
    """Return the input of a windowed op: the window's axes, then `more`, then the channel axis.

    All other axes are folded into the batch.
    """
    channel, batch_axes = split_window_axes(x, (*axes, *more))
    return x.to_order(*axes, *more, channel, batch_axes=batch_axes)


def padding_keyword(window: SlidingWindow, is_half_kernel: bool) -> str | None:
    """Return Keras' `same` or `valid` if it means this padding in every instance of the block, else None.

    `is_half_kernel` says that the spec gives the padding as half the kernel.
    """
    if window.pads is None:
        return "same"
    if all(is_fixed(n, 0) for pair in window.pads for n in pair):
        return "valid"
    if not all(is_fixed(s, 1) for s in window.stride):
        return None
    numbers = [*window.kernel, *window.dilation, *(n for pair in window.pads for n in pair)]
    if not is_half_kernel and any(expression_of(n) for n in numbers):
        return None
    is_same = all(
        a == b and 2 * concrete(a) == concrete(d) * (concrete(k) - 1)
        for (a, b), k, d in zip(window.pads, window.kernel, window.dilation, strict=True)
    )
    return "same" if is_same else None


def padding_argument(window: SlidingWindow) -> Any:
    """Return the padding as one number, or as a number or (before, after) for each axis."""
    assert window.pads is not None
    if all(a == b and expression_of(a) == expression_of(b) for a, b in window.pads):
        return collapse_equal(tuple(before for before, _ in window.pads))
    return collapse_sides(window)


def collapse_sides(window: SlidingWindow) -> tuple[Any, ...]:
    """Return the padding of each axis: one number, or (before, after) if the sides differ."""
    assert window.pads is not None
    return tuple(a if a == b and expression_of(a) == expression_of(b) else (a, b) for a, b in window.pads)


def use_padded_layer(layer: Construction) -> Construction:
    """Return the same layer of the helper class that takes the padding as numbers: `PaddedConv2D`."""
    return replace(layer, function=layer.function.replace("layers.", "Padded"))


def pad_window(x: Operand, window: SlidingWindow, mode: str) -> Expr:
    """Return the input padded with other values than zero."""
    assert window.pads is not None
    if mode != "reflect" or len(window.axes) == 3:  # Keras on PyTorch reflects at most two axes
        return call_function("pad_places", x.expr, window.pads, mode)
    return call_function("ops.pad", x.expr, ((0, 0), *window.pads, (0, 0)), mode=mode)


def is_depthwise(op: Conv, x: Operand) -> bool:
    """Return whether a depthwise layer can compute the convolution in every instance of the block.

    Keras has such layers for one and two axes. On TensorFlow they need the same stride along both.
    """
    strides = op.sliding_window(x.type).stride
    groups = expression_of(op.groups)
    if groups is None:  # one group is all channels, also where there is only one
        is_own_group = expression_of(x[CHANNEL]) is None and x[CHANNEL] == op.groups > 1
    else:  # where a step before is left out, its channels are those of the step before that
        same = (expression_of(x[CHANNEL]), expression_of(op.channels))
        is_own_group = x[CHANNEL] == op.groups and groups in same
    has_equal_strides = len({(concrete(s), expression_of(s)) for s in strides}) == 1
    return is_own_group and len(strides) in DEPTHWISE and has_equal_strides


def depth_multiplier(channels: int, input_channels: int) -> int:
    """Return the number of output channels per input channel, if possible as the author wrote it."""
    multiplier = concrete(channels) // concrete(input_channels)
    product, factor = expression_of(channels), expression_of(input_channels)
    if product == factor:
        return multiplier
    match product and factor and remaining_factor(product, factor):
        case ast.Constant(int()):
            return multiplier
        case ast.Name() as name:
            return symbolic(multiplier, from_tree(name))
    return symbolic_formula("channels // per", channels=channels, per=input_channels)  # type: ignore[no-any-return]


def remaining_factor(product: Expression, factor: Expression) -> ast.expr | None:
    """Return the first or the last factor of a product if the others are `factor`."""
    factors = list_factors(product.tree)
    texts, known = (list(map(ast.unparse, nodes)) for nodes in (factors, list_factors(factor.tree)))
    if texts[:-1] == known:
        return factors[-1]
    return factors[0] if texts[1:] == known else None


def list_factors(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            return [*list_factors(left), right]
    return [node]


@emits(Conv)
def emit_conv(op: Conv, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    depthwise = is_depthwise(op, x)
    if op.padding == "causal" and len(window.axes) == 1 and not depthwise:
        padding: str | None = "causal"
    else:
        padding = padding_keyword(window, is_half_kernel=op.padding == "same")
    value = x.expr
    if op.padding_mode != "zeros" and padding != "valid":
        value, padding = pad_window(x, window, op.padding_mode), "valid"
    # Keras layers do not combine stride and dilation: convolve with stride 1 and slice the result
    needs_slice = any(s > 1 for s in window.stride) and any(d > 1 for d in window.dilation)
    if padding == "same":
        check_same_padding(window, needs_slice)
    arguments: dict[str, Any] = {
        "strides": 1 if needs_slice else collapse_equal(window.stride),
        "padding": padding_argument(window) if padding is None else padding,
        "dilation_rate": collapse_equal(window.dilation),
        "use_bias": op.bias,
        "bias_initializer": emit_initializer(op.bias_init, "zeros"),
    }
    layer, kernel = (construct_depthwise if depthwise else construct_conv)(op, x, window, arguments)
    code: Expr = Call(OWN_MEMBER, (value,))
    if needs_slice:
        code = Index(code, (SliceExpr(), *(SliceExpr(step=literal_expression(s)) for s in window.stride)))
    return LoweringResult(
        code,
        x.layout,
        layer if padding is not None else use_padded_layer(layer),
        weights={"kernel": kernel} | bias_storage(op),
        odd_numbers=odd_kernels(window) if padding == "same" else (),
    )


def odd_kernels(window: SlidingWindow) -> tuple[int, ...]:
    """Return the kernels for which Keras' `same` pads by half, as `window` does, only if they are odd."""
    if window.pads is None:
        return ()
    return tuple(
        k for k, d in zip(window.kernel, window.dilation, strict=True) if expression_of(k) and is_fixed(d, 1)
    )


def check_same_padding(window: SlidingWindow, needs_slice: bool) -> None:
    """Raise UnsupportedOp if Keras computes `same` padding wrongly for this window."""
    if needs_slice:
        raise UnsupportedOp(
            "it has no tf_same for a window with both stride and dilation", "give the padding as numbers"
        )
    if len(window.axes) == 3 and has_gaps(window):
        raise UnsupportedOp(
            "on TensorFlow it has no tf_same along three axes for a stride larger than the kernel",
            "give the padding as numbers",
        )


def construct_conv(
    op: Conv, x: Operand, window: SlidingWindow, arguments: dict[str, Any]
) -> tuple[Construction, Storage]:
    """Return a convolution layer, and where it stores its kernel."""
    n = len(window.axes)
    layer = CONV[n].construct(
        op.channels,
        collapse_equal(window.kernel),
        groups=op.groups,
        kernel_initializer=emit_initializer(op.init, "glorot_uniform"),
        **arguments,
    )
    return layer, Storage("kernel", (*range(2, 2 + n), 1, 0))


def construct_depthwise(
    op: Conv, x: Operand, window: SlidingWindow, arguments: dict[str, Any]
) -> tuple[Construction, Storage]:
    """Return a depthwise convolution layer, and where it stores its kernel."""
    n = len(window.axes)
    is_one_each = expression_of(op.channels) == expression_of(op.groups)
    multiplier = depth_multiplier(op.channels, op.groups if is_one_each else x[CHANNEL])
    # Glorot's bounds are symmetric: with one output for each channel, it does not matter how Keras counts
    is_symmetric = is_fixed(multiplier, 1) and op.init is not None and op.init.kind.startswith("xavier")
    wrap = emit_initializer if is_symmetric else partial(emit_wrapped_initializer, "ChannelsApart")
    layer = DEPTHWISE[n].construct(
        collapse_equal(window.kernel),
        depth_multiplier=multiplier,
        depthwise_initializer=wrap(op.init, "glorot_uniform"),
        **arguments,
    )
    shape = (concrete(x[CHANNEL]), concrete(multiplier), *map(concrete, window.kernel))
    return layer, Storage("kernel", (*range(2, 2 + n), 0, 1), shape)


def bias_storage(op: Conv | ConvTranspose | Linear) -> dict[str, Storage]:
    return {"bias": Storage("bias")} if op.bias else {}


@emits(ConvTranspose)
def emit_conv_transpose(op: ConvTranspose, x: Operand, out: TensorType) -> LoweringResult:
    window, output_padding = op.sliding_window(x.type), op.resolve_output_padding(x.type)
    x = arrange_window_axes(x, window.axes)
    n, kernel = len(window.axes), collapse_equal(window.kernel)
    arguments: dict[str, Any] = {
        "strides": collapse_equal(window.stride),
        "use_bias": op.bias,
        "kernel_initializer": emit_initializer(op.init, "glorot_uniform"),
        "bias_initializer": emit_initializer(op.bias_init, "zeros"),
    }
    weights = {"kernel": Storage("kernel", (*range(2, 2 + n), 1, 0))} | bias_storage(op)
    if not is_fixed(op.groups, 1) or not all(is_fixed(d, 1) for d in window.dilation):
        layer = GROUPED_CONV_TRANSPOSE.construct(
            op.channels,
            kernel,
            padding=padding_argument(window),
            output_padding=collapse_equal(output_padding),
            dilation_rate=collapse_equal(window.dilation),
            groups=op.groups,
            **arguments,
        )
        return layer_result(layer, x, weights=weights)
    # with gaps, Keras' default output is longer, and TensorFlow's gradients of 3-d "same" are wrong
    leaves_gaps = has_gaps(window)
    uses_tf_same = op.padding == "tf_same" and not (n == 3 and leaves_gaps)
    if uses_tf_same or is_scaled_by_stride(window, output_padding):
        layer = CONV_TRANSPOSE[n].construct(op.channels, kernel, padding="same", **arguments)
        return layer_result(layer, x, weights=weights)
    if leaves_gaps or not all(is_fixed(m, 0) for m in output_padding):
        arguments["output_padding"] = collapse_equal(output_padding)
    code: Expr = Call(OWN_MEMBER, (x.expr,))
    assert window.pads is not None
    if any(side for pair in window.pads for side in pair):
        code = Index(code, (SliceExpr(), *(crop_slice(before, after) for before, after in window.pads)))
    layer = CONV_TRANSPOSE[n].construct(op.channels, kernel, **arguments)
    return LoweringResult(code, x.layout, layer, weights=weights)


def has_gaps(window: SlidingWindow) -> bool:
    """Return whether a stride is larger than the kernel, so that the window skips positions."""
    return any(k < s for k, s in zip(window.kernel, window.stride, strict=True))


def is_scaled_by_stride(window: SlidingWindow, output_padding: tuple[int, ...]) -> bool:
    """Return whether every size is multiplied by the stride in every instance of the block, as with `same`."""
    assert window.pads is not None
    pads = (n for pair in window.pads for n in pair)
    numbers = [*window.kernel, *window.stride, *output_padding, *pads]
    if any(expression_of(n) for n in numbers) or any(output_padding):
        return False
    return all(
        a == b and 2 * a == k - s
        for (a, b), k, s in zip(window.pads, window.kernel, window.stride, strict=True)
    )


def crop_slice(before: int, after: int) -> SliceExpr:
    """Return the slice that removes this many positions at both ends of an axis."""
    end: Expr = Prefix("-", literal_expression(after)) if expression_of(after) else Literal(-after)
    return SliceExpr(literal_expression(before) if before else None, end if after else None)


@emits(Linear)
def emit_linear(op: Linear, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    x = x.to_order(*(a for a in x.order if a != op.over), op.over, batch_axes=x.layout.batch_axes)
    layer = DENSE.construct(
        op.features,
        use_bias=op.bias,
        kernel_initializer=emit_initializer(op.init, "glorot_uniform"),
        bias_initializer=emit_initializer(op.bias_init, "zeros"),
    )
    weights = {"kernel": Storage("kernel", (1, 0))} | bias_storage(op)
    if x.layout.rank == 1 and not x.layout.batched:  # Keras needs two dimensions
        row = Index(x.expr, (NEW_AXIS, WHOLE_AXIS))
        return LoweringResult(
            Index(Call(OWN_MEMBER, (row,)), (Literal(0),)), x.layout, layer, weights=weights
        )
    return layer_result(layer, x, weights=weights)

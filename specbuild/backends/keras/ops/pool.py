"""Pooling in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import collapse_equal, inline_result, is_fixed, layer_result
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.ops.convolution import (
    arrange_window_axes,
    odd_kernels,
    padding_argument,
    padding_keyword,
)
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Name
from specbuild.expressions import concrete, expression_of
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, MaxPool, WindowPool
from specbuild.ops.types import TensorType
from specbuild.ops.window import SlidingWindow

RANKS = (1, 2, 3)
POOL_PARAMETERS = "pool_size, strides=None, padding='valid'"
MAX_POOL = {n: Signature(f"layers.MaxPooling{n}D({POOL_PARAMETERS})") for n in RANKS}
PADDED_MAX_POOL = {n: Signature(f"PaddedMaxPooling{n}D(pool_size, strides=None, padding=0)") for n in RANKS}
AVG_POOL = {n: Signature(f"layers.AveragePooling{n}D({POOL_PARAMETERS})") for n in RANKS}
SAME_AVG_POOL = {n: Signature(f"SameAveragePooling{n}D({POOL_PARAMETERS})") for n in RANKS}
PADDED_AVG_POOL = {
    n: Signature(f"PaddedAveragePooling{n}D(pool_size, strides=None, padding=0)") for n in RANKS
}
COUNTED_AVG_POOL = {
    n: Signature(
        f"CountedAveragePooling{n}D(pool_size, strides=None, padding=0, ceil_mode=False, count_include_pad=True)"
    )
    for n in RANKS
}
GLOBAL_POOL: dict[type[AdaptivePool], tuple[str, dict[int, Signature]]] = {
    AdaptiveAvgPool: (
        "ops.mean",
        {n: Signature(f"layers.GlobalAveragePooling{n}D(data_format=None, keepdims=False)") for n in RANKS},
    ),
    AdaptiveMaxPool: (
        "ops.max",
        {n: Signature(f"layers.GlobalMaxPooling{n}D(data_format=None, keepdims=False)") for n in RANKS},
    ),
}


def stride_argument(op: WindowPool, window: SlidingWindow) -> Any:
    """Return the stride, or None if the spec leaves it out."""
    return None if op.stride is None else collapse_equal(window.stride)


@emits(MaxPool)
def emit_max_pool(op: MaxPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    if any(d != 1 for d in window.dilation):
        wide = window.with_ceil_mode() if op.ceil_mode else window
        if wide.pads is None:
            raise UnsupportedOp("it has no tf_same for dilated windows", "give the padding as numbers")
        arguments = (wide.kernel, wide.stride, wide.pads, wide.dilation)
        return inline_result(call_function("dilated_max_pool", x.expr, *arguments), x.layout)
    n, kernel, strides = len(window.axes), collapse_equal(window.kernel), stride_argument(op, window)
    padding = padding_keyword(window, is_half_kernel=op.padding == "same")
    if padding is not None and not (op.ceil_mode and window.pads is not None):
        odd = odd_kernels(window) if padding == "same" else ()
        layer = MAX_POOL[n].construct(kernel, padding=padding, strides=strides)
        return layer_result(layer, x, odd_numbers=odd)
    padded = padding_argument(window.with_ceil_mode() if op.ceil_mode else window)
    return layer_result(PADDED_MAX_POOL[n].construct(kernel, padding=padded, strides=strides), x)


@emits(AvgPool)
def emit_avg_pool(op: AvgPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    n, kernel, strides = len(window.axes), collapse_equal(window.kernel), stride_argument(op, window)
    padding = padding_keyword(window, is_half_kernel=op.padding == "same")
    if (padding == "same" and op.count_include_pad) or (op.ceil_mode and window.pads is not None):
        padding = None
    if padding is not None:
        is_uneven = padding == "same" and not is_evenly_padded(window)
        signature = SAME_AVG_POOL[n] if is_uneven else AVG_POOL[n]
        odd = odd_kernels(window) if padding == "same" else ()
        return layer_result(signature.construct(kernel, padding=padding, strides=strides), x, odd_numbers=odd)
    padded = padding_argument(window)
    if op.count_include_pad and not op.ceil_mode:
        return layer_result(PADDED_AVG_POOL[n].construct(kernel, padding=padded, strides=strides), x)
    layer = COUNTED_AVG_POOL[n].construct(
        kernel,
        padding=padded,
        ceil_mode=op.ceil_mode,
        count_include_pad=op.count_include_pad,
        strides=strides,
    )
    return layer_result(layer, x)


def is_evenly_padded(window: SlidingWindow) -> bool:
    """Return whether `same` pads both sides equally for every input size."""
    has_odd_kernel = all(not expression_of(k) and concrete(k) % 2 for k in window.kernel)
    return has_odd_kernel and all(is_fixed(s, 1) for s in window.stride)


@emits(AdaptiveAvgPool, AdaptiveMaxPool)
def emit_adaptive_pool(op: AdaptivePool, x: Operand, out: TensorType) -> LoweringResult:
    axes, sizes = op.pooled_axes(x.type), op.output_sizes(x.type)
    function, layers = GLOBAL_POOL[type(op)]
    if all(is_fixed(n, 1) for n in sizes):
        x = unfold_axes(x, axes)
        dims = x.sorted_dims(axes)
        is_channels_last = dims == tuple(range(1, len(x.order))) and x.order[-1:] != axes[-1:]
        code = call_function(function, x.expr, axis=dims[0] if len(dims) == 1 else dims, keepdims=True)
        has_layer = is_channels_last and x.layout.batched
        return inline_result(
            code, x.layout, layers[len(axes)].construct(keepdims=True) if has_layer else None
        )
    # Keras' own layers fail in a graph for an output size of 1, and in float64 over three axes
    x = arrange_window_axes(x, axes)
    return inline_result(call_function("adaptive_pool", x.expr, sizes, Name(function)), x.layout)

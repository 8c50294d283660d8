"""Pooling in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.base import Signature, collapse_equal, inline_result, is_fixed, layer_result
from specbuild.backends.keras.layout import call_function, emits
from specbuild.backends.keras.ops.convolution import arrange_window_axes, padding_argument, padding_keyword
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Name
from specbuild.expressions import concrete, expression_of
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, MaxPool, WindowPool
from specbuild.ops.types import TensorType
from specbuild.ops.window import SlidingWindow

RANKS = (1, 2, 3)
POOL_PARAMETERS = "pool_size, strides=None, padding='valid'"
MAX_POOL = {n: Signature(f"layers.MaxPooling{n}D({POOL_PARAMETERS})") for n in RANKS}
PADDED_MAX_POOL = {
    n: Signature(f"PaddedMaxPooling{n}D(pool_size, strides=None, padding=0, ceil_mode=False)") for n in RANKS
}
AVG_POOL = {n: Signature(f"layers.AveragePooling{n}D({POOL_PARAMETERS})") for n in RANKS}
SAME_AVG_POOL = {n: Signature(f"SameAveragePooling{n}D({POOL_PARAMETERS})") for n in RANKS}
PADDED_AVG_POOL = {
    n: Signature(
        f"PaddedAveragePooling{n}D(pool_size, strides=None, padding=0, ceil_mode=False, count_include_pad=True)"
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


def stride_argument(op: WindowPool, x: Operand) -> dict[str, Any]:
    return {"strides": None if op.stride is None else collapse_equal(op.sliding_window(x.type).stride)}


@emits(MaxPool)
def emit_max_pool(op: MaxPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = arrange_window_axes(x, window.axes)
    n, kernel = len(window.axes), collapse_equal(window.kernel)
    if any(d != 1 for d in window.dilation):
        wide = window.with_ceil_mode() if op.ceil_mode else window
        if wide.pads is None:
            raise UnsupportedOp("it has no tf_same for dilated windows", "give the padding as numbers")
        pooled = call_function(
            "dilated_max_pool", here.expr, wide.kernel, wide.stride, wide.pads, wide.dilation
        )
        return inline_result(pooled, here.layout)
    word = padding_keyword(window, same=op.padding == "same")
    if word is not None and not (op.ceil_mode and window.pads is not None):
        return layer_result(MAX_POOL[n].construct(kernel, padding=word, **stride_argument(op, x)), here)
    return layer_result(
        PADDED_MAX_POOL[n].construct(
            kernel, padding=padding_argument(window), ceil_mode=op.ceil_mode, **stride_argument(op, x)
        ),
        here,
    )


@emits(AvgPool)
def emit_avg_pool(op: AvgPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    here = arrange_window_axes(x, window.axes)
    n, kernel = len(window.axes), collapse_equal(window.kernel)
    word = padding_keyword(window, same=op.padding == "same")
    if (word == "same" and op.count_include_pad) or (op.ceil_mode and window.pads is not None):
        word = None
    if word == "same" and not is_evenly_padded(window):
        return layer_result(SAME_AVG_POOL[n].construct(kernel, padding=word, **stride_argument(op, x)), here)
    if word is not None:
        return layer_result(AVG_POOL[n].construct(kernel, padding=word, **stride_argument(op, x)), here)
    make = PADDED_AVG_POOL[n].construct(
        kernel,
        padding=padding_argument(window),
        ceil_mode=op.ceil_mode,
        count_include_pad=op.count_include_pad,
        **stride_argument(op, x),
    )
    return layer_result(make, here)


def is_evenly_padded(window: SlidingWindow) -> bool:
    """Whether `same` pads as much before as after, whatever the sizes."""
    odd = all(not expression_of(k) and concrete(k) % 2 for k in window.kernel)
    return odd and all(is_fixed(s, 1) for s in window.stride)


@emits(AdaptiveAvgPool, AdaptiveMaxPool)
def emit_adaptive_pool(op: AdaptivePool, x: Operand, out: TensorType) -> LoweringResult:
    axes, sizes = op.pooled_axes(x.type), op.output_sizes(x.type)
    if all(is_fixed(n, 1) for n in sizes):
        here = x.unfold_axes() if any(a in x.layout.folded for a in axes) else x
        function, layers = GLOBAL_POOL[type(op)]
        dims = here.sorted_dims(axes)
        first = (
            dims == tuple(range(1, len(here.order))) and here.order[-1:] != axes[-1:] and here.layout.batched
        )
        return inline_result(
            call_function(function, here.expr, axis=dims[0] if len(dims) == 1 else dims, keepdims=True),
            here.layout,
            layers[len(axes)].construct(keepdims=True) if first else None,
        )
    # Keras' own layers fail in a graph where a size of 1 comes out, and in float64 over three axes
    here = arrange_window_axes(x, axes)
    return inline_result(
        call_function("adaptive_pool", here.expr, sizes, Name(GLOBAL_POOL[type(op)][0])), here.layout
    )

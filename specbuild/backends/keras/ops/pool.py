"""Pooling in Keras."""

from __future__ import annotations

from typing import Any

from specbuild.backends.base import External, fixed, inline, layer, scalar
from specbuild.backends.keras.layout import call, emits
from specbuild.backends.keras.ops.convolution import padding_of, places, sides
from specbuild.codegen.lowering import Operand, Result, Unsupported
from specbuild.codegen.tree import Name
from specbuild.expressions import plain, words
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, MaxPool, Pool
from specbuild.ops.types import Tensor
from specbuild.ops.window import Window

RANKS = (1, 2, 3)
SLID = "pool_size, strides=None, padding='valid'"
MAX_POOL = {n: External(f"layers.MaxPooling{n}D({SLID})") for n in RANKS}
PADDED_MAX_POOL = {
    n: External(f"PaddedMaxPooling{n}D(pool_size, strides=None, padding=0, ceil_mode=False)") for n in RANKS
}
AVG_POOL = {n: External(f"layers.AveragePooling{n}D({SLID})") for n in RANKS}
SAME_AVG_POOL = {n: External(f"SameAveragePooling{n}D({SLID})") for n in RANKS}
PADDED_AVG_POOL = {
    n: External(
        f"PaddedAveragePooling{n}D(pool_size, strides=None, padding=0, ceil_mode=False, count_include_pad=True)"
    )
    for n in RANKS
}
GLOBAL: dict[type[AdaptivePool], tuple[str, dict[int, External]]] = {
    AdaptiveAvgPool: (
        "ops.mean",
        {n: External(f"layers.GlobalAveragePooling{n}D(data_format=None, keepdims=False)") for n in RANKS},
    ),
    AdaptiveMaxPool: (
        "ops.max",
        {n: External(f"layers.GlobalMaxPooling{n}D(data_format=None, keepdims=False)") for n in RANKS},
    ),
}


def common(op: Pool, x: Operand) -> dict[str, Any]:
    return {"strides": None if op.stride is None else scalar(op.window(x.type).stride)}


@emits(MaxPool)
def max_pool(op: MaxPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    n, kernel = len(window.axes), scalar(window.kernel)
    if any(d != 1 for d in window.dilation):
        wide = window.ceiled() if op.ceil_mode else window
        if wide.pads is None:
            raise Unsupported("it has no tf_same for dilated windows", "give the padding as numbers")
        pooled = call("dilated_max_pool", here.expr, wide.kernel, wide.stride, wide.pads, wide.dilation)
        return inline(pooled, here.layout)
    word = padding_of(window, same=op.padding == "same")
    if word is not None and not (op.ceil_mode and window.pads is not None):
        return layer(MAX_POOL[n].made(kernel, padding=word, **common(op, x)), here)
    return layer(
        PADDED_MAX_POOL[n].made(kernel, padding=sides(window), ceil_mode=op.ceil_mode, **common(op, x)), here
    )


@emits(AvgPool)
def avg_pool(op: AvgPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    n, kernel = len(window.axes), scalar(window.kernel)
    word = padding_of(window, same=op.padding == "same")
    if (word == "same" and op.count_include_pad) or (op.ceil_mode and window.pads is not None):
        word = None
    if word == "same" and not even(window):
        return layer(SAME_AVG_POOL[n].made(kernel, padding=word, **common(op, x)), here)
    if word is not None:
        return layer(AVG_POOL[n].made(kernel, padding=word, **common(op, x)), here)
    make = PADDED_AVG_POOL[n].made(
        kernel,
        padding=sides(window),
        ceil_mode=op.ceil_mode,
        count_include_pad=op.count_include_pad,
        **common(op, x),
    )
    return layer(make, here)


def even(window: Window) -> bool:
    """Whether `same` pads as much before as after, whatever the sizes."""
    odd = all(not words(k) and plain(k) % 2 for k in window.kernel)
    return odd and all(fixed(s, 1) for s in window.stride)


@emits(AdaptiveAvgPool, AdaptiveMaxPool)
def adaptive_pool(op: AdaptivePool, x: Operand, out: Tensor) -> Result:
    axes, sizes = op.axes(x.type), op.sizes(x.type)
    if all(fixed(n, 1) for n in sizes):
        here = x.unfolded() if any(a in x.layout.folded for a in axes) else x
        function, layers = GLOBAL[type(op)]
        dims = here.dims(axes)
        first = (
            dims == tuple(range(1, len(here.order))) and here.order[-1:] != axes[-1:] and here.layout.batched
        )
        return inline(
            call(function, here.expr, axis=dims[0] if len(dims) == 1 else dims, keepdims=True),
            here.layout,
            layers[len(axes)].made(keepdims=True) if first else None,
        )
    # Keras' own layers fail in a graph where a size of 1 comes out, and in float64 over three axes
    here = places(x, axes)
    return inline(call("adaptive_pool", here.expr, sizes, Name(GLOBAL[type(op)][0])), here.layout)

"""Pooling in PyTorch."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from specbuild.backends.base import collapse_equal, layer_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import emits
from specbuild.backends.torch.ops.convolution import arrange_window_axes, pad_window, symmetric_padding
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Infix, Literal, Name, SliceExpr
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, MaxPool
from specbuild.ops.types import TensorType
from specbuild.ops.window import SlidingWindow

FIRST = SliceExpr(None, Literal(1))
RANKS = (1, 2, 3)
MAX_POOL = {
    n: Signature(
        f"nn.MaxPool{n}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)"
    )
    for n in RANKS
}
AVG_POOL = {
    n: Signature(
        f"nn.AvgPool{n}d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)"
    )
    for n in RANKS
}
ADAPTIVE_POOL: dict[type[AdaptivePool], dict[int, Signature]] = {
    AdaptiveAvgPool: {n: Signature(f"nn.AdaptiveAvgPool{n}d(output_size)") for n in RANKS},
    AdaptiveMaxPool: {n: Signature(f"nn.AdaptiveMaxPool{n}d(output_size)") for n in RANKS},
}


@emits(MaxPool)
def emit_max_pool(op: MaxPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    common: dict[str, Any] = {
        "stride": None if op.stride is None else collapse_equal(window.stride),
        "dilation": collapse_equal(window.dilation),
    }
    pool, kernel = MAX_POOL[len(window.axes)], collapse_equal(window.kernel)
    # PyTorch pads by at most half the kernel
    is_allowed = all(2 * p[0] <= k for p, k in zip(window.pads or (), window.kernel, strict=False))
    if padding is not None and is_allowed:
        return layer_result(pool.construct(kernel, padding=padding, ceil_mode=op.ceil_mode, **common), x)
    padded = pad_window(x.expr, window.with_ceil_mode() if op.ceil_mode else window, value=float("-inf"))
    return LoweringResult(Call(OWN_MEMBER, (padded,)), x.layout, pool.construct(kernel, **common))


@emits(AvgPool)
def emit_avg_pool(op: AvgPool, x: Operand, out: TensorType) -> LoweringResult:
    window = op.sliding_window(x.type)
    x = arrange_window_axes(x, window.axes)
    padding = symmetric_padding(window)
    stride = None if op.stride is None else collapse_equal(window.stride)
    pool, kernel = AVG_POOL[len(window.axes)], collapse_equal(window.kernel)
    if padding is not None:
        layer = pool.construct(
            kernel,
            stride=stride,
            padding=padding,
            ceil_mode=op.ceil_mode,
            count_include_pad=op.count_include_pad,
        )
        return layer_result(layer, x)
    if op.count_include_pad and not op.ceil_mode:
        return LoweringResult(
            Call(OWN_MEMBER, (pad_window(x.expr, window),)), x.layout, pool.construct(kernel, stride=stride)
        )
    wide = window.with_ceil_mode() if op.ceil_mode else window
    # divide by the average of ones and zeros: the share of the window that counts
    counts: Expr = Call(Name("torch.ones_like"), (Index(x.expr, (FIRST, FIRST)),))
    if op.count_include_pad:
        counts = pad_window(pad_window(counts, window, value=1.0), extra_padding(wide, window))
    else:
        counts = pad_window(counts, wide)
    mean = Infix("/", Call(OWN_MEMBER, (pad_window(x.expr, wide),)), Call(OWN_MEMBER, (counts,)))
    return LoweringResult(mean, x.layout, pool.construct(kernel, stride=stride))


def extra_padding(wide: SlidingWindow, window: SlidingWindow) -> SlidingWindow:
    """Return the padding that a wider window has in addition to another."""
    pairs = zip(wide.pads or (), window.pads or (), strict=True)
    return replace(wide, pads=tuple((b - before, a - after) for (b, a), (before, after) in pairs))


@emits(AdaptiveAvgPool, AdaptiveMaxPool)
def emit_adaptive_pool(op: AdaptivePool, x: Operand, out: TensorType) -> LoweringResult:
    axes = op.pooled_axes(x.type)
    layer = ADAPTIVE_POOL[type(op)][len(axes)].construct(collapse_equal(op.output_sizes(x.type)))
    return layer_result(layer, arrange_window_axes(x, axes))

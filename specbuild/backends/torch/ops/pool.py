"""Pooling in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specbuild.backends.base import External, layer, scalar
from specbuild.backends.torch.layout import emits
from specbuild.backends.torch.ops.convolution import padded, places, symmetric
from specbuild.codegen.constructions import SELF
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Call, Expr, Index, Infix, Literal, Name, Slice
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, MaxPool
from specbuild.ops.types import Tensor
from specbuild.ops.window import Window

FIRST = Slice(None, Literal(1))
RANKS = (1, 2, 3)
MAX_POOL = {
    n: External(
        f"nn.MaxPool{n}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)"
    )
    for n in RANKS
}
AVG_POOL = {
    n: External(
        f"nn.AvgPool{n}d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)"
    )
    for n in RANKS
}
ADAPTIVE_POOL: dict[type[AdaptivePool], dict[int, External]] = {
    AdaptiveAvgPool: {n: External(f"nn.AdaptiveAvgPool{n}d(output_size)") for n in RANKS},
    AdaptiveMaxPool: {n: External(f"nn.AdaptiveMaxPool{n}d(output_size)") for n in RANKS},
}


@emits(MaxPool)
def max_pool(op: MaxPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    padding = symmetric(window)
    common: dict[str, Any] = {
        "stride": None if op.stride is None else scalar(window.stride),
        "dilation": scalar(window.dilation),
    }
    pool, kernel = MAX_POOL[len(window.axes)], scalar(window.kernel)
    most = all(
        2 * p[0] <= k for p, k in zip(window.pads or (), window.kernel, strict=False)
    )  # PyTorch's own limit
    if padding is not None and most:
        return layer(pool.made(kernel, padding=padding, ceil_mode=op.ceil_mode, **common), here)
    around = padded(here.expr, window.ceiled() if op.ceil_mode else window, value=float("-inf"))
    return Result(Call(SELF, (around,)), here.layout, pool.made(kernel, **common))


@emits(AvgPool)
def avg_pool(op: AvgPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    padding = symmetric(window)
    stride = None if op.stride is None else scalar(window.stride)
    pool, kernel = AVG_POOL[len(window.axes)], scalar(window.kernel)
    if padding is not None:
        make = pool.made(
            kernel,
            stride=stride,
            padding=padding,
            ceil_mode=op.ceil_mode,
            count_include_pad=op.count_include_pad,
        )
        return layer(make, here)
    if op.count_include_pad and not op.ceil_mode:
        return Result(Call(SELF, (padded(here.expr, window),)), here.layout, pool.made(kernel, stride=stride))
    wide = window.ceiled() if op.ceil_mode else window
    counted: Expr = Call(Name("torch.ones_like"), (Index(here.expr, (FIRST, FIRST)),))
    if op.count_include_pad:
        counted = padded(padded(counted, window, value=1.0), beyond(wide, window))
    else:
        counted = padded(counted, wide)
    mean = Infix("/", Call(SELF, (padded(here.expr, wide),)), Call(SELF, (counted,)))
    return Result(mean, here.layout, pool.made(kernel, stride=stride))


def beyond(wide: Window, window: Window) -> Window:
    """The padding that one window has more than another."""
    pairs = zip(wide.pads or (), window.pads or (), strict=True)
    return replace(wide, pads=tuple((b - before, a - after) for (b, a), (before, after) in pairs))


@emits(AdaptiveAvgPool, AdaptiveMaxPool)
def adaptive_pool(op: AdaptivePool, x: Operand, out: Tensor) -> Result:
    here = places(x, op.axes(x.type))
    make = ADAPTIVE_POOL[type(op)][len(op.axes(x.type))].made(scalar(op.sizes(x.type)))
    return layer(make, here)

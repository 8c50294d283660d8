"""Padding, windows and their sums in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline
from specbuild.backends.keras.layout import call, emits
from specbuild.backends.keras.ops.resize import size_of
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Unsupported
from specbuild.codegen.tree import Expr, Index, Literal
from specbuild.expressions import plain, words
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import CHANNEL, Tensor
from specbuild.ops.window import Pair, spread

PAD = External("ops.pad(x, pad_width, mode='constant', constant_values=None)")
FOLD = External("fold(x, kernel, strides, padding, dilation, size=None)")


def around(x: Expr, layout: Layout, sides: Mapping[str, Pair], **more: Any) -> Expr:
    """A value with something at both ends of axes, whichever dimensions they are."""
    if all(fixed(n, 0) for pair in sides.values() for n in pair):
        return x
    pads = tuple(sides.get(axis, (0, 0)) for axis in layout.order)
    return PAD(x, ((0, 0), *pads) if layout.batched else pads, **more)


def reflects(x: Operand, sides: Mapping[str, Pair]) -> bool:
    """Whether Keras itself reflects this on every runtime: on PyTorch's only maps, and not their channels."""
    return x.layout.batched and len(x.order) <= 3 and x.order[-1] not in sides


@emits(Pad)
def pad(op: Pad, x: Operand, out: Tensor) -> Result:
    sides = op.sides(x.type)
    here = unfolded(x, sides)
    if op.mode == "constant":
        value = plain(op.value) if x.type.dtype == "float" else int(op.value)
        return inline(
            around(here.expr, here.layout, sides, **({"constant_values": value} if value else {})),
            here.layout,
        )
    if op.mode == "reflect" and reflects(here, sides):
        return inline(around(here.expr, here.layout, sides, mode="reflect"), here.layout)
    last = max(here.order.index(axis) for axis in sides)
    pads = tuple(sides.get(axis, (0, 0)) for axis in here.order[: last + 1])
    batch = here.expr if here.layout.batched else call("ops.expand_dims", here.expr, axis=0)
    result: Expr = call("pad_places", batch, pads, op.mode)
    return inline(result if here.layout.batched else Index(result, (Literal(0),)), here.layout)


def leading(x: Operand, axes: tuple[str, ...], *more: str) -> Operand:
    """The operand with the window's axes first, then `more`, then C (or what stands for it); all others folded."""
    if not x.layout.batched:
        raise Unsupported(
            "its windows slide over batches, and this value has no batch",
            "let the value meet a batched one before",
        )
    others = [a for a in (*x.layout.folded, *x.order) if a not in (*axes, *more)]
    channel = CHANNEL if CHANNEL in others else others[-1]
    return x.to(*axes, *more, channel, folded=tuple(a for a in others if a != channel))


@emits(Unfold)
def unfold(op: Unfold, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = leading(x, window.axes)
    pads = tuple(a if a == b and words(a) == words(b) else (a, b) for a, b in window.pads or ())
    result = call("unfold", here.expr, window.kernel, window.stride, pads, window.dilation)
    return inline(result, Layout((*window.axes, op.into, *here.order[-1:]), here.layout.folded))


@emits(Fold)
def fold(op: Fold, x: Operand, like: Operand | None, out: Tensor) -> Result:
    window = op.window(x.type)
    here = leading(x, window.axes, op.axis)
    halves = tuple(before for before, _ in window.pads or ())
    size: dict[str, Any] = {}
    if like is not None:
        size = {"size": size_of(like, window.axes)}
    elif op.size is not None:
        size = {"size": literal(spread(op.size, window.axes, "size"))}
    result = FOLD(here.expr, window.kernel, window.stride, halves, window.dilation, **size)
    order = tuple(a for a in here.order if a != op.axis)
    return inline(result, Layout(order, here.layout.folded))
